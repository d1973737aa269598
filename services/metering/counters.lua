-- The third part of the library that admission.lua begins, whose local functions it uses: what metering and the
-- operator's command call, to seed accounts, change their limits, publish generations, read and forget counters.

-- Calls of the running burst stay counted under a new limit, at most as many as it has.
local function rescale_burst(key, old, new)
  local held = redis.call('HMGET', key, 'tat', 'last')
  if old == new or not held[1] then
    return
  end
  local now_us = math.max(redis_time_us(), tonumber(held[2] or 0))
  local spent = 0
  if old ~= UNLIMITED and new ~= UNLIMITED then
    spent = math.max(0, math.ceil((tonumber(held[1]) - now_us) / interval_us(old)))
    spent = math.min(spent, new) * interval_us(new)
  end
  redis.call('HSET', key, 'tat', digits(now_us + spent))
end

local function take_limits(key, version, burst, calls, documents)
  local held = redis.call('HMGET', key, 'version', 'burst')
  if held[1] and version < tonumber(held[1]) then
    return 0
  end
  rescale_burst(key, tonumber(held[2] or burst), burst)
  redis.call(
    'HSET', key,
    'version', digits(version), 'burst', digits(burst), 'calls', digits(calls), 'docs', digits(documents)
  )
  return 1
end

local function integers(argv, lowest)
  local numbers = {}
  for i, low in ipairs(lowest) do
    numbers[i] = integer(argv[i], low, INTEGER_MAX)
    if not numbers[i] then
      return nil
    end
  end
  return numbers
end

-- KEYS account; ARGV version, burst, calls, documents. 1 when taken, 0 when newer limits are there already.
local function limits(keys, argv)
  local given = integers(argv, { 0, UNLIMITED, UNLIMITED, UNLIMITED })
  if not given or given[2] == 0 then
    return redis.error_reply('METERARGS malformed call of invouno_limits_v1')
  end
  return take_limits(keys[1], unpack(given))
end

-- KEYS account; ARGV version, burst, calls, documents, start_s, end_s, calls_used, documents_used, perhaps known.
-- Gives an account the ledger's counters, also over counters that this instance does not vouch for. 1 when seeded; 0
-- when the account has its own of this period or a later one, which are left alone. `known` of 0 says that the caller knows
-- nothing of the account's generation; left out, as older callers do, what is held counts as told.
local function seed(keys, argv)
  local given = integers(argv, { 0, UNLIMITED, UNLIMITED, UNLIMITED, 0, 1, -INTEGER_MAX, -INTEGER_MAX })
  if not given or given[2] == 0 or given[6] <= given[5] then
    return redis.error_reply('METERARGS malformed call of invouno_seed_v1')
  end
  take_limits(keys[1], given[1], given[2], given[3], given[4])
  if argv[9] ~= '0' then
    redis.call('HSET', keys[1], 'known_by', instance())
  end
  local held = redis.call('HMGET', keys[1], 'start', 'seeded_by')
  if held[1] and tonumber(held[1]) >= given[5] and held[2] == instance() then
    return 0
  end
  redis.call(
    'HSET', keys[1],
    'start', digits(given[5]), 'end', digits(given[6]), 'seeded_by', instance(),
    'calls_used', digits(math.max(0, given[7])), 'docs_used', digits(math.max(0, given[8]))
  )
  return 1
end

-- KEYS account; ARGV generation, just read from the database. 1 when taken, 0 when the account has this or a newer one.
local function generation(keys, argv)
  local given = integers(argv, { 0 })
  if not given then
    return redis.error_reply('METERARGS malformed call of invouno_generation_v1')
  end
  redis.call('HSET', keys[1], 'known_by', instance())
  if given[1] <= tonumber(redis.call('HGET', keys[1], 'gen') or 0) then
    return 0
  end
  redis.call('HSET', keys[1], 'gen', digits(given[1]))
  return 1
end

-- KEYS account. start_s, calls_used and documents_used; an empty array without counters that this instance vouches for.
local function live(keys)
  local held = redis.call('HMGET', keys[1], 'seeded_by', 'start', 'calls_used', 'docs_used')
  if not held[2] or held[1] ~= instance() then
    return {}
  end
  return { tonumber(held[2]), tonumber(held[3]), tonumber(held[4]) }
end

-- KEYS accounts of one shard. How many of them had counters; the next call of each has it seeded anew from the ledger.
local function forget(keys)
  local forgotten = 0
  for _, key in ipairs(keys) do
    forgotten = forgotten + (forget_counters(key) > 0 and 1 or 0)
  end
  return forgotten
end

redis.register_function('invouno_limits_v1', limits)
redis.register_function('invouno_seed_v1', seed)
redis.register_function('invouno_generation_v1', generation)
redis.register_function('invouno_live_v1', live)
redis.register_function('invouno_forget_v1', forget)
