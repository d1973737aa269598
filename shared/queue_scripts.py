"""What Redis decides of the render queue: one script for each thing that an end of it does."""

# KEYS: queue, job, wakes, workers. ARGV: id, job, its expiry and the longest wait in ms, assumed ms a document,
# wakes kept at most, for so many seconds.
# -1: joined one that is there. 0: queued. Else the ms until a place is free; then nothing was written.
ENQUEUE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
local per_ms = 0
local told = redis.call('HGETALL', KEYS[4])
for at = 1, #told, 2 do
  local until_ms, pages, print_ms = string.match(told[at + 1], '^(%d+) (%d+) ([%d.]+)$')
  if tonumber(until_ms) > now then per_ms = per_ms + pages / print_ms
  else redis.call('HDEL', KEYS[4], told[at]) end
end
if per_ms == 0 then per_ms = 1 / ARGV[5] end
local wait = redis.call('ZCARD', KEYS[1]) / per_ms
if wait > tonumber(ARGV[4]) then return math.max(1, math.ceil(wait - ARGV[4])) end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('LPUSH', KEYS[3], 1)
redis.call('LTRIM', KEYS[3], 0, ARGV[6] - 1)
redis.call('EXPIRE', KEYS[3], ARGV[7])
return 0
"""

# KEYS: queue, wakes. Each job that was ever taken and neither ended nor put back has a key with its tries. One of these
# that is free is suspect: a worker died of it, or of another beside it. Only a worker that does nothing else takes it;
# a busy one keeps it for when it is done. Past its tries a job is taken as any other, for its verdict.
# Returned: 1 when the worker must take nothing else now, and for each job taken its id, the ms that it has waited, its
# tries alone with this one, and the job. When there are less than were asked for, every wake so far is answered. A job
# that has expired is dropped: nobody waits for it.
TURN = """
local worker, wanted, idle, locked_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', ARGV[4]
local known_s, tries_max = ARGV[5], tonumber(ARGV[6])
local locks, jobs, tries_of = ARGV[7], ARGV[8], ARGV[9]
local ended, verdict_s, channel, message = ARGV[10], ARGV[11], ARGV[12], ARGV[13]
local kept = worker .. ' next'

local function drop(id)
  redis.call('DEL', locks .. id, jobs .. id, tries_of .. id)
  redis.call('ZREM', KEYS[1], id)
end
if verdict_s ~= '0' then
  redis.call('DEL', locks .. ended, jobs .. ended)
  redis.call('EXPIRE', tries_of .. ended, verdict_s, 'LT')
  redis.call('ZREM', KEYS[1], ended)
elseif ended ~= '' then drop(ended) end
if channel ~= '' then redis.call('PUBLISH', channel, message) end

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local taken, alone, at = {}, 0, 0
local function take(id, waited_ms)
  local job = redis.call('GET', jobs .. id)
  if not job then
    at = at - 1
    return drop(id)
  end
  local tries = redis.call('SET', tries_of .. id, 0, 'EX', known_s, 'NX', 'GET')
  if tries then
    if tonumber(tries) < tries_max then
      alone = 1
      if not idle or #taken > 0 then return redis.call('SET', locks .. id, kept, 'PX', locked_ms) end
    end
    tries = redis.call('INCR', tries_of .. id)
  end
  taken[#taken + 1] = {id, waited_ms, tries or 0, job}
end

while alone == 0 and #taken < wanted do
  local found = redis.call('ZRANGE', KEYS[1], '-inf', now, 'BYSCORE', 'LIMIT', at, 100, 'WITHSCORES')
  for one = 1, #found, 2 do
    if alone == 1 or #taken == wanted then break end
    local id = found[one]
    local holder = redis.call('SET', locks .. id, worker, 'PX', locked_ms, 'NX', 'GET')
    if holder == kept then redis.call('SET', locks .. id, worker, 'PX', locked_ms) end
    if not holder or holder == kept then take(id, now - found[one + 1]) end
  end
  at = at + 100
  if #found < 200 then break end
end
if alone == 0 and #taken < wanted then redis.call('DEL', KEYS[2]) end
return {alone, taken}
"""

# KEYS: lock, tries, wakes. ARGV: the worker, s that wakes are kept. What another has taken over is left to that one.
PUT_BACK = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[1])
local tries = redis.call('GET', KEYS[2])
if tries == '0' then redis.call('DEL', KEYS[2]) elseif tries then redis.call('DECR', KEYS[2]) end
redis.call('LPUSH', KEYS[3], 1)
redis.call('EXPIRE', KEYS[3], ARGV[2])
"""

# KEYS: queue, workers. ARGV: the worker, ms that it is taken for alive, pages, ms of a page that a document costs, ms
# that its jobs stay locked, the prefix of locks, and the ids of its jobs.
# How many jobs there are, and the ms that the first of them has waited.
TELL = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[2], ARGV[1], string.format('%d %d %s', now + ARGV[2], ARGV[3], ARGV[4]))
redis.call('PEXPIRE', KEYS[2], ARGV[2])
for at = 7, #ARGV do
  local lock = ARGV[6] .. ARGV[at]
  if redis.call('GET', lock) == ARGV[1] then redis.call('PEXPIRE', lock, ARGV[5]) end
end
local oldest = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {redis.call('ZCARD', KEYS[1]), oldest[2] and math.max(0, now - oldest[2]) or 0}
"""
