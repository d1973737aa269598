#!lua name=invouno_meter_v1
-- revision 7
--
-- Admission and counting in one atomic step. This head is the wire contract of `invouno_admit_v1`, which every gateway
-- calls; the other functions are called by metering and the operator's command and stand in counters.lua, the second part
-- of this library. A change that an older caller could notice is a new function name; any other change raises the revision
-- above, and the newest revision loaded wins.
--
-- FCALL invouno_admit_v1 <2 + items>
--   KEYS  1     {mS}:stream                  what was granted leaves for the ledger here
--         2     {mS}:producer:<producer>     the last call of this producer, for a day
--         3...  {mS}:account:<account id>    one per item; the same account may stand several times
--   ARGV  1     producer    a name that no other process and no earlier start of this one has
--         2     seq         grows with every call of the producer on this shard; one call at a time
--         then per item 4, 5 or 6 each (the same for all items of a call), all integers but the last:
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
--   A read is (generation, n, 1, 0), a create (generation, n, 1, 1), a release (generation, n, 0, -1, period).
--   At most 1,000 items; n, calls and |documents| up to 1,000,000; producers, accounts and reservations are 1 to 64 of
--   [A-Za-z0-9_-].
--
-- Reply: one array of 13 integers per item, 14 for one with a reservation:
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
--                      know of no reservations ignore them and answer 13 integers: what was granted is then given back
--                      by a release without a name.
--
-- {mS}:reserved is a sorted set of what is neither settled nor released: "<account id> <period_start_s> <name>" by
-- milliseconds.
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
  if counts and named and (not item.reservation or is_reservation(item)) then
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

-- A burst's time never runs backwards, so a clock that is set back grants nothing twice. Set back by more than a full
-- burst's worth, the account moves to the new time with its backlog, or it would stand still until then. Periods go by
-- the clock itself: an account that has entered one never returns to the one before.
local function tell_time(account, time_us)
  account.now = time_us
  if account.last - time_us > MINUTE_US then
    account.tat = account.tat - (account.last - time_us)
    account.last = time_us
    account.changed = true
  end
  account.last = math.max(account.last, time_us)
end

-- Removed, and not only left unread: a reader that knows nothing of trust shall not take them for live either.
local function forget_counters(key)
  return redis.call('HDEL', key, 'start', 'end', 'seeded_by')
end

local function load_account(key, time_us)
  local held = redis.call('HMGET', key, unpack(FIELDS))
  local seeded_by, known_by = held[#FIELDS - 1], held[#FIELDS]
  local account = { key = key, gen = tonumber(held[1] or 0), known = known_by == instance() }
  account.seeded = held[6] and seeded_by == instance()
  if held[6] and not account.seeded then
    forget_counters(key)
  end
  if account.seeded then
    for i = 2, #FIELDS - 2 do
      account[FIELDS[i]] = tonumber(held[i] or 0)
    end
    tell_time(account, time_us)
  end
  return account
end

local function save_account(account)
  if not account.seeded then
    redis.call('HSET', account.key, 'gen', digits(account.gen))
    return
  end
  redis.call(
    'HSET', account.key, 'gen', digits(account.gen),
    'calls_used', digits(account.calls_used), 'docs_used', digits(account.docs_used),
    'tat', digits(account.tat), 'last', digits(account.last)
  )
end

local function backlog_us(account)
  return math.max(0, account.tat - account.last)
end

-- How long until a backlog of this account is gone, on the clock that its callers see.
local function wait_us(account, backlog)
  return backlog > 0 and backlog + account.last - account.now or 0
end

local function quota_room(limit, used, each)
  if limit == UNLIMITED or each <= 0 then
    return math.huge
  end
  return math.max(0, math.floor((limit - used) / each))
end

local function burst_room(account, each)
  if account.burst == UNLIMITED or each == 0 then
    return math.huge
  end
  local interval = interval_us(account.burst)
  return math.max(0, math.floor((account.burst * interval - backlog_us(account)) / (interval * each)))
end

local function decide(account, item)
  local calls = quota_room(account.calls, account.calls_used, item.calls)
  local documents = quota_room(account.docs, account.docs_used, item.documents)
  local granted = math.min(item.n, calls, documents, burst_room(account, item.calls))
  if granted == item.n then
    return granted, NO_REASON
  elseif calls == granted then
    return granted, API_CALLS
  elseif documents == granted then
    return granted, DOCUMENTS
  end
  return granted, BURST
end

local function retry_after_us(account, item, reason)
  if reason == NO_REASON then
    return 0
  elseif reason == BURST then
    local interval = interval_us(account.burst)
    return wait_us(account, backlog_us(account) + (item.calls - account.burst) * interval)
  end
  return account['end'] * 1000000 - account.now
end

local function note(book, item, bucket_s, metric, amount)
  if amount == 0 then
    return
  end
  local name = table.concat({ metric, digits(bucket_s), item.id }, ' ')
  local row = book.by_name[name]
  if not row then
    row = { item.id, bucket_s, metric, 0 }
    book.by_name[name] = row
    book.rows[#book.rows + 1] = row
  end
  row[4] = row[4] + amount
end

local function count(book, account, item, granted)
  local hour_s = math.floor(account.now / 3600000000) * 3600
  local bucket_s = math.max(hour_s, account.start)
  local calls = granted * item.calls
  local documents = math.max(granted * item.documents, math.min(0, -account.docs_used))
  if calls > 0 and account.burst ~= UNLIMITED then
    account.tat = math.max(account.tat, account.last) + calls * interval_us(account.burst)
  end
  account.calls_used = account.calls_used + calls
  account.docs_used = account.docs_used + documents
  account.changed = account.changed or calls ~= 0 or documents ~= 0
  note(book, item, bucket_s, 'api_calls', calls)
  note(book, item, bucket_s, 'documents', documents)
end

local function state(account, status, granted, reason, retry_us)
  local remaining, reset_us = UNLIMITED, 0
  if account.burst ~= UNLIMITED then
    remaining = burst_room(account, 1)
    reset_us = wait_us(account, backlog_us(account))
  end
  return {
    status, granted, reason, account.burst, remaining, math.ceil(reset_us / 1000), math.ceil(retry_us / 1000),
    account.calls, account.calls_used, account.docs, account.docs_used, account.start, account['end'],
  }
end

local function undecided(status)
  return { status, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
end

local function reserve(book, account, item)
  local member = table.concat({ item.id, digits(account.start), item.reservation }, ' ')
  redis.call('ZADD', book.reserved, math.floor(account.now / 1000), member)
  item.held = 1
end

-- Whether the reservation was still there to be settled or released.
local function unreserve(book, item)
  local member = table.concat({ item.id, digits(item.period), item.reservation }, ' ')
  item.held = redis.call('ZREM', book.reserved, member)
  return item.held == 1
end

local function admit_item(book, account, item)
  if item.reservation and item.documents == 0 then
    unreserve(book, item)
    return undecided(DECIDED)
  end
  if item.generation > account.gen then
    account.gen = item.generation
    account.changed = true
  elseif item.generation ~= -1 and item.generation < account.gen and item.documents >= 0 then
    return undecided(STALE)
  end
  if not account.seeded or account.now >= account['end'] * 1000000 or item.period > account.start then
    return undecided(SEED)
  end
  if item.generation ~= -1 and item.documents >= 0 and not account.known then
    return undecided(SEED)
  end
  if item.reservation and item.documents < 0 and not unreserve(book, item) then
    return state(account, DECIDED, 0, NO_REASON, 0)
  end
  if item.documents < 0 and item.period > 0 and item.period < account.start then
    note(book, item, item.period, 'documents', item.n * item.documents)
    return state(account, DECIDED, item.n, NO_REASON, 0)
  end
  local granted, reason = decide(account, item)
  count(book, account, item, granted)
  if item.reservation and item.documents > 0 and granted > 0 then
    reserve(book, account, item)
  end
  return state(account, DECIDED, granted, reason, retry_after_us(account, item, reason))
end

local function record(keys, producer, seq, time_us, book)
  local rows = {}
  for _, row in ipairs(book.rows) do
    if row[4] ~= 0 then
      rows[#rows + 1] = row
    end
  end
  if #rows > 0 then
    local entry = { 1, producer, seq, math.floor(time_us / 1000), rows }
    redis.call('XADD', keys[1], '*', 'e', cmsgpack.pack(entry))
  end
end

local function admit_items(keys, items, producer, seq)
  local time_us = redis_time_us()
  local book = { rows = {}, by_name = {}, reserved = string.gsub(keys[1], ':stream$', ':reserved') }
  local accounts, reply = {}, {}
  for i, item in ipairs(items) do
    accounts[item.key] = accounts[item.key] or load_account(item.key, time_us)
    reply[i] = admit_item(book, accounts[item.key], item)
    reply[i][14] = item.reservation and (item.held or 0)
  end
  record(keys, producer, seq, time_us, book)
  for _, account in pairs(accounts) do
    if account.changed then
      save_account(account)
    end
  end
  redis.call('SET', keys[2], cmsgpack.pack({ seq, reply }), 'EX', PRODUCER_KEPT_S)
  return reply
end

local function admit(keys, argv)
  local items = parse_items(keys, argv)
  local seq = integer(argv[2], 1, INTEGER_MAX)
  if not items or not seq or not is_name(argv[1]) then
    return redis.error_reply('METERARGS malformed call of invouno_admit_v1')
  end
  local held = redis.call('GET', keys[2])
  local last = held and cmsgpack.unpack(held) or { 0 }
  if seq == last[1] then
    return last[2]
  elseif seq < last[1] then
    return redis.error_reply('METERSEQ a later call of this producer came first')
  end
  return admit_items(keys, items, argv[1], seq)
end

redis.register_function('invouno_admit_v1', admit)
