-- Begins a trace for a request that is part of none, named by the random id that Envoy gives it.
-- https://www.w3.org/TR/trace-context/#traceparent-header

function envoy_on_request(handle)
  local headers = handle:headers()
  if not headers:get("traceparent") then
    local id = headers:get("x-request-id"):gsub("-", "")
    headers:add("traceparent", "00-" .. id .. "-" .. id:sub(17) .. "-01")
  end
end
