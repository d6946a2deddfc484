-- renew: carry one held lease on for another ttl.
--
-- KEYS[1]  lock    string: the holder's token, expires after ttl
-- KEYS[2]  lease   hash: token until released knock knock_seq missing_since missing_run run
-- ARGV[1]  token   of the adoption
-- ARGV[2]  ttl     ms
-- ARGV[3]  keep    ms that the lease hash outlives its last change
--
-- returns {answer, now}: now in ms
--   ours      extended
--   again     extended after it had vanished, or had been left behind by an earlier incarnation of Redis
--   lost      another token has the lock, or this token was released

local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- Which memory is this: changes with every restart and every failover, also with one there and back.
local function incarnation()
  local s, r = redis.pcall('INFO', 'server'), redis.pcall('INFO', 'replication')
  local id = type(s) == 'string' and string.match(s, 'run_id:(%x+)')
  local repl = type(r) == 'string' and string.match(r, 'master_replid:(%x+)')
  if not id then return '-' end
  return id .. '+' .. (repl or '')
end

local token, ttl, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local now, run = clock(), incarnation()
local lock = redis.call('GET', KEYS[1])
local word = 'ours'

if lock ~= token then
  local f = redis.call('HMGET', KEYS[2], 'released', 'run')
  if lock then
    -- A lock that a failover brought back belongs to whoever comes first. Where INFO is refused ('-') nothing
    -- can be said about that, so nothing is taken.
    local old = f[2] and f[2] ~= run and f[2] ~= '-' and run ~= '-'
    if not old then return {'lost', now} end
  elseif f[1] == token then
    return {'lost', now}
  end
  word = 'again'
  redis.call('HDEL', KEYS[2], 'released', 'missing_since', 'missing_run')
end

redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'token', token, 'until', string.format('%.0f', now + ttl), 'run', run)
redis.call('PEXPIRE', KEYS[2], keep)
return {word, now}
