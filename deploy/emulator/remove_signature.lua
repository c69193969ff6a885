-- Removes the signature of the verified token, as Cloud Run does: an instance could call other services with it.
-- https://cloud.google.com/run/docs/authenticating/service-to-service

function envoy_on_request(handle)
  local headers = handle:headers()
  local name = headers:get("x-serverless-authorization") and "x-serverless-authorization" or "authorization"
  -- Replaces everything after the second dot: the signature, and anything that may follow it.
  local unsigned = headers:get(name):gsub("^([^.]*%.[^.]*).*$", "%1.SIGNATURE_REMOVED_BY_GOOGLE")
  headers:replace(name, unsigned)
end
