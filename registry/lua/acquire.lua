-- acquire: take the lease of one session for one adoption.
--
-- KEYS[1]  lock    string: the holder's token, expires after ttl
-- KEYS[2]  lease   hash: token until released knock knock_seq missing_since missing_run run
-- ARGV[1]  token   of this adoption
-- ARGV[2]  ttl     ms
-- ARGV[3]  seq     sequence of the message that asks, 0: none
-- ARGV[4]  open    token of the run that the record shows open, '': none
-- ARGV[5]  keep    ms that the lease hash outlives its last change
--
-- returns {answer, now, wait, knock, knock_seq}: times in ms, knock_seq in decimal
--   granted   the token holds the lock for ttl from now
--   held      another token has it; wait = what is left of its lock. The knock is noted.
--   unclean   nobody has it, but its last holder may still be alive; wait = until it cannot be
--   used      this token was released before: a request that lost its way, nothing is granted

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

local token, ttl, seq, open, keep = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local now, run = clock(), incarnation()
local lock = redis.call('GET', KEYS[1])
local f = redis.call('HMGET', KEYS[2],
  'token', 'until', 'released', 'knock', 'knock_seq', 'missing_since', 'missing_run', 'run')
local last, released = f[1], f[3]
local knock, knock_seq = tonumber(f[4] or 0), f[5] or '0'

local function answer(word, wait)
  return {word, now, wait, knock, knock_seq}
end
local function note(...)
  redis.call('HSET', KEYS[2], ...)
  redis.call('PEXPIRE', KEYS[2], keep)
end

if lock and lock ~= token then
  knock = knock + 1
  if seq > tonumber(knock_seq) then knock_seq = ARGV[3] end
  note('knock', knock, 'knock_seq', knock_seq)
  return answer('held', redis.call('PTTL', KEYS[1]))
end

if not lock then
  local clean = last and released == last
  if released == token then
    return answer('used', 0)
  end
  -- The lock vanished before its time (evicted, deleted): its holder trusts it until then.
  if last and not clean then
    local over = tonumber(f[2] or 0)
    if over > now + ttl then -- this clock was set back; a lease never lasts longer than ttl
      over = now + ttl
      note('until', string.format('%.0f', over))
    end
    if over > now then return answer('unclean', over - now) end
  end
  -- A run is open whose lease this memory does not know: its holder trusts it for one ttl at most.
  if open ~= '' and not (last == open and f[8] == run) then
    local since = tonumber(f[6] or 0)
    if since == 0 or since > now or f[7] ~= run then
      since = now
      note('missing_since', string.format('%.0f', now), 'missing_run', run)
    end
    if since + ttl > now then return answer('unclean', since + ttl - now) end
  end
end

redis.call('SET', KEYS[1], token, 'PX', ARGV[2])
redis.call('HDEL', KEYS[2], 'released', 'missing_since', 'missing_run')
note('token', token, 'until', string.format('%.0f', now + ttl), 'run', run)
return answer('granted', 0)
