-- Sends the requests of a file in turn (FOREFEED_REQUESTS), each preceded by its length; prints one JSON object.
local requests, at = {}, 0

function init(args)
  local file = assert(io.open(os.getenv("FOREFEED_REQUESTS"), "rb"))
  while true do
    local length = file:read("*n")
    if not length then break end
    file:read(1)
    requests[#requests + 1] = file:read(length)
  end
  file:close()
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"micros":%d,"failed":%d,"p50_ms":%.4f,"p99_ms":%.4f,"p99_9_ms":%.4f}\n',
    summary.requests, summary.duration, errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, latency:percentile(99.9) / 1000))
end
