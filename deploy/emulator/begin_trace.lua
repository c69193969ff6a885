-- Starts a trace for a request without one. The trace ID is the random request ID from Envoy.
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
