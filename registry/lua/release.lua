-- release: give one held lease back, unless somebody knocked since the holder last looked.
--
-- KEYS[1]  lock    string: the holder's token, expires after ttl
-- KEYS[2]  lease   hash: token until released knock knock_seq missing_since missing_run run
-- ARGV[1]  token   of the adoption
-- ARGV[2]  seen    knocks that the holder knows of
-- ARGV[3]  force   '1': go although somebody knocked
-- ARGV[4]  keep    ms that the lease hash outlives its last change
--
-- returns {answer, now, 0, knock, knock_seq}: now in ms, knock_seq in decimal
--   gone      released
--   look      knocked meanwhile: still held, look at the stream again
--   foreign   the lock is not this token's: nothing was changed

local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local f = redis.call('HMGET', KEYS[2], 'knock', 'knock_seq')
local knock, knock_seq = tonumber(f[1] or 0), f[2] or '0'
local word = 'gone'

if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  word = 'foreign'
elseif knock ~= tonumber(ARGV[2]) and ARGV[3] ~= '1' then
  word = 'look'
else
  -- First the mark: where memory is full it is refused, and then the lock has to run out by itself.
  redis.call('HSET', KEYS[2], 'token', ARGV[1], 'released', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  redis.call('DEL', KEYS[1])
end
return {word, now, 0, knock, knock_seq}
