-- The second part of the library that admission.lua begins, whose local functions it uses: deciding and counting what was
-- asked, and the one function that does it all.

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
