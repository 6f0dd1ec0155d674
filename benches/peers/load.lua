-- What wrk sends, and what it tells at the end as one line of JSON.
-- Arguments: "check" or "measure", bytes up, bytes down, "fresh" or "keep", number of routes.
local threads = {}
wrong = 0

function setup(thread)
   table.insert(threads, thread)
end

local function check(length)
   -- Named in the first pass only, as wrk hands over every answer then.
   response = function(status, headers, body)
      if status ~= 200 or #body ~= length then wrong = wrong + 1 end
   end
end

function init(arguments)
   local mode, up, down = arguments[1], tonumber(arguments[2]), tonumber(arguments[3])
   local connection, routes = arguments[4], tonumber(arguments[5])
   wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
   wrk.headers["Accept"] = "*/*"
   wrk.headers["Accept-Encoding"] = "gzip, deflate, br"
   wrk.headers["Accept-Language"] = "en-US,en;q=0.5"
   wrk.headers["X-Trace"] = "0123456789abcdef"
   if connection == "fresh" then wrk.headers["Connection"] = "close" end
   if up > 0 then
      wrk.method = "POST"
      wrk.body = string.rep("x", up)
   end
   if mode == "check" then check(down) end
   if routes == 1 then
      wrk.path = "/plain?bytes=" .. down
      local one = wrk.format()
      request = function() return one end
      return
   end
   -- Over all hosts and paths, in an order without a pattern: a table that is asked one thing only sits in the
   -- nearest cache whatever its size.
   local requests, hosts = {}, routes / 10
   math.randomseed(1)
   for index = 1, 1000 do
      wrk.headers["Host"] = "service-" .. math.random(0, hosts - 1) .. ".example.com"
      requests[index] = wrk.format(nil, "/api/resource-" .. math.random(0, 9) .. "/items/42?bytes=" .. down)
   end
   local next = 0
   request = function()
      next = next % #requests + 1
      return requests[next]
   end
end

function done(summary, latency)
   local all = 0
   for _, thread in ipairs(threads) do all = all + thread:get("wrong") end
   local errors = summary.errors
   print(string.format(
      '{"requests":%d,"bytes":%d,"durationUs":%d,"connectErrors":%d,"readErrors":%d,"writeErrors":%d,' ..
      '"statusErrors":%d,"timeouts":%d,"wrong":%d,"p50Us":%d,"p99Us":%d,"p999Us":%d}',
      summary.requests, summary.bytes, summary.duration, errors.connect, errors.read, errors.write,
      errors.status, errors.timeout, all, latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
