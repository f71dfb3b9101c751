-- wrk: send the bodies of the file $BODIES in turn, and end with one line of JSON.
local bodies, index = {}, 0
for line in io.lines(os.getenv("BODIES")) do bodies[#bodies + 1] = line end
local headers = { ["content-type"] = "application/json", ["x-api-key"] = os.getenv("BENCH_KEY") or "" }

function request()
  index = index % #bodies + 1
  return wrk.format("POST", os.getenv("BENCH_PATH"), headers, bodies[index])
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"seconds": %f, "answers": %d, "failures": %d, "p50_ms": %f, "p99_ms": %f}\n',
    summary.duration / 1e6, summary.requests,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
