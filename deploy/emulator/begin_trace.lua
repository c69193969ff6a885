-- Begins a trace for a request that is part of none, named by the random id that Envoy gives it.
-- https://www.w3.org/TR/trace-context/#traceparent-header

function envoy_on_request(handle)
  local headers = handle:headers()
  local parent = headers:get("traceparent") or ""
  if parent:match("^%x%x%-%x+%-%x+%-%x%x$") or headers:get("x-cloud-trace-context") then
    return
  end
  local id = headers:get("x-request-id"):gsub("-", "")
  headers:replace("traceparent", "00-" .. id .. "-" .. id:sub(17) .. "-01")
end
