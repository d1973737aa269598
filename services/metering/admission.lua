#!lua name=invouno_meter_v1
-- revision 8
--
-- Admission and counting in one atomic step. This head is the wire contract of `invouno_admit_v1`, which every gateway
-- calls; deciding.lua, the second part of this library, decides what is read here, and counters.lua, the third, holds what
-- metering and the operator's command call. A change that an older caller could notice is a new function name; any other
-- change raises the revision above, and the newest revision loaded wins.
--
-- FCALL invouno_admit_v1 <2 + items>
--   KEYS  1     {mS}:stream                  what was granted leaves for the ledger here
--         2     {mS}:producer:<producer>     the last call of this producer, for a day
--         3...  {mS}:account:<account id>    one per item; the same account may stand several times
--   ARGV  1     producer    a name that no other process and no earlier start of this one has
--         2     seq         grows with every call of the producer on this shard; one call at a time
--         then per item 4 to 7 each (the same for all items of a call), all integers but the last two:
--               generation  of the key's record that the caller holds; -1 when no key is involved
--               n           identical requests that wait; 0 only asks for the state
--               calls       that each request costs, in the quota and in the burst
--               documents   that each request costs; below 0 gives reserved ones back (calls must be 0 then)
--               period      optional, for giving back: period_start_s of the reservation's reply, so that documents of
--                           a period that is over leave that one's ledger and not the current one; 0: the current one
--               reservation optional, '' for none, else the name of the one document that the item is about; n is 1:
--                           (generation, 1, calls, 1, 0, name) reserves: counted now, and to be settled or released
--                           (-1, 1, 0, 0, period, name) settles: the document is there; counts nothing
--                           (generation, 1, 0, -1, period, name) releases: gives back, if it was neither before
--               block       optional, '' for none, else "<name>:<size>" of a reservation of several documents, which is
--                           made whole or not at all; the item has no other reservation:
--                           (generation, 1, calls, size, 0, '', block) reserves
--                           (-1, 0, 0, -missing, period, '', block) ends: so many are not there and given back, the rest
--                           is; n is 0, so that a library that knows of no blocks leaves alone what it cannot end
--   A read is (generation, n, 1, 0), a create (generation, n, 1, 1), a release (generation, n, 0, -1, period).
--   At most 1,000 items; n, calls, |documents| and sizes up to 1,000,000; producers, accounts, reservations and blocks'
--   names are 1 to 64 of [A-Za-z0-9_-].
--
-- Reply: one array of 13 integers per item, 14 for one with a reservation or a block:
--    1 status        0 decided; 1 seed: no counters for the current period that this instance of the library vouches
--                    for (or, with a key, no generation): reload the key's record, have metering seed the account with
--                    its generation and ask again; 2 stale: the key's record is older than the account's, reload it
--                    and ask again. Under 1 and 2 nothing was counted and all that follows is 0. A release is never
--                    stale.
--    2 granted       of n; each granted request is counted whole, each other one not at all
--    3 reason        why the next request was refused: 0 none was, 1 burst, 2 api_calls, 3 documents; of several
--                    reasons the one that lasts longest
--    4 burst_limit   calls a minute, -1 unlimited
--    5 burst_remaining  calls that would pass now, -1 unlimited
--    6 burst_reset_ms   until the burst is whole again
--    7 retry_after_ms   0 unless refused; after it, and not before, one request like these would pass
--    8 calls_limit -1 unlimited    9 calls_used    10 documents_limit -1 unlimited    11 documents_used
--   12 period_start_s  13 period_end_s   Unix seconds, the end exclusive
--   14 held            1 when the reservation was made, or was there to be settled or released, else 0. Libraries that
--                      know of no reservations, or of no blocks, ignore them and answer 13 integers: what was granted is
--                      then given back by a release without a name.
--
-- {mS}:reserved is a sorted set of what is neither settled nor released: "<account id> <period_start_s> <name>" by
-- milliseconds, with a block's ":<size>" behind its name.
--
-- A call that is repeated with the same seq gets the first one's reply and counts nothing, whatever else it carries: so a
-- lost reply is answered by sending the same call again. Errors count nothing either; their first words:
--   METERARGS the call is malformed; METERSEQ a call with a higher seq came first (this one came too late).
--
-- Stream entry, one per call that changed any count: field `e`, MessagePack of
--   [1, producer, seq, time_ms, [[account, bucket_s, metric, amount], ...]]
-- bucket_s is the start of the UTC hour, or of the period where that is later. Readers ignore elements at the end that
-- they do not know; a new first number is read by one release before the next one writes it.
--
-- Account hash: gen, version (of the limits), burst, calls, docs (limits), start, end (seconds), calls_used, docs_used,
-- tat (GCRA's theoretical arrival time) and last (the latest time seen), both in microseconds. It may hold limits or a
-- generation alone, before it is seeded.
--
-- Trust: `seeded_by` names the instance of the library that the counters were seeded into, `known_by` the one that was
-- told the generation. An instance is the library as it was loaded into one server process; its name lives in this
-- library's memory alone. Data that was put back, a server that was started again, a replica that took over and a
-- library that was loaded anew all meet an instance of another name, and what they hold is seeded before it counts.

local MINUTE_US = 60000000
local UNLIMITED = -1
local ITEMS_MAX = 1000
local AMOUNT_MAX = 1000000
local INTEGER_MAX = 9007199254740991
local PRODUCER_KEPT_S = 86400
local DECIDED, SEED, STALE = 0, 1, 2
local NO_REASON, BURST, API_CALLS, DOCUMENTS = 0, 1, 2, 3
local FIELDS = {
  'gen', 'burst', 'calls', 'docs', 'start', 'end', 'calls_used', 'docs_used', 'tat', 'last', 'seeded_by', 'known_by',
}
local instance_name = nil

-- Lua prints large numbers with an exponent; Redis must never see one.
local function digits(number)
  return string.format('%.0f', number)
end

local function integer(text, lowest, highest)
  local number = tonumber(text)
  if number and number % 1 == 0 and number >= lowest and number <= highest then
    return number
  end
end

local function is_name(text)
  return text and #text <= 64 and string.match(text, '^[%w_-]+$') ~= nil
end

local function redis_time_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- INFO holds the server's run id, which no other start of any server has.
local function instance()
  if not instance_name then
    local origin = redis.call('INFO', 'server') .. digits(redis_time_us())
    instance_name = string.sub(redis.sha1hex(origin), 1, 16)
  end
  return instance_name
end

local function interval_us(burst)
  return math.ceil(MINUTE_US / burst)
end

-- From here on a block is a reservation of another form; ending one is about one request, as all reservations are.
local function take_block(item, block)
  local name, digits_of_size = string.match(block, '^([%w_-]+):(%d+)$')
  local size = integer(digits_of_size, 1, AMOUNT_MAX)
  local reserves = item.n == 1 and item.documents == size and item.period == 0
  local ends = item.n == 0 and item.calls == 0 and item.documents <= 0 and item.period > 0
  if item.reservation or not size or not is_name(name) or item.documents < -size or not (reserves or ends) then
    return false
  end
  item.reservation = block
  item.n = 1
  return true
end

local function is_reservation(item)
  local reserves = item.documents == 1 and item.period == 0
  local settles = item.documents == 0 and item.calls == 0 and item.period > 0
  local releases = item.documents == -1 and item.period > 0
  return item.n == 1 and is_name(item.reservation) and (reserves or settles or releases)
end

local function parse_item(key, prefix, argv, at, width)
  local item = {
    key = key,
    id = string.sub(key, #prefix + 1),
    generation = integer(argv[at], -1, INTEGER_MAX),
    n = integer(argv[at + 1], 0, AMOUNT_MAX),
    calls = integer(argv[at + 2], 0, AMOUNT_MAX),
    documents = integer(argv[at + 3], -AMOUNT_MAX, AMOUNT_MAX),
    period = integer(width > 4 and argv[at + 4] or '0', 0, INTEGER_MAX),
    reservation = width > 5 and argv[at + 5] ~= '' and argv[at + 5] or nil,
  }
  local whole = item.generation and item.n and item.calls and item.documents and item.period
  local named = string.sub(key, 1, #prefix) == prefix and is_name(item.id)
  local counts = whole and (item.documents >= 0 or item.calls == 0)
  if not counts or not named or (item.reservation and not is_reservation(item)) then
    return nil
  end
  local block = width > 6 and argv[at + 6] ~= '' and argv[at + 6]
  if not block or take_block(item, block) then
    return item
  end
end

local function parse_items(keys, argv)
  local count = #keys - 2
  local width = (#argv - 2) / count
  local tag = string.match(keys[1] or '', '^({m%d+}):stream$')
  if not tag or count < 1 or count > ITEMS_MAX or width < 4 or width % 1 ~= 0 then
    return nil
  end
  local items = {}
  for i = 1, count do
    items[i] = parse_item(keys[i + 2], tag .. ':account:', argv, 3 + (i - 1) * width, width)
    if not items[i] then
      return nil
    end
  end
  return items
end
