-- Takes the signature off the token that was checked, as Cloud Run does: an instance could call others with it.
-- https://cloud.google.com/run/docs/authenticating/service-to-service

function envoy_on_request(handle)
  local headers = handle:headers()
  local name = headers:get("x-serverless-authorization") and "x-serverless-authorization" or "authorization"
  -- All after the second dot: the signature, and whatever else came in such a header.
  local unsigned = headers:get(name):gsub("^([^.]*%.[^.]*).*$", "%1.SIGNATURE_REMOVED_BY_GOOGLE")
  headers:replace(name, unsigned)
end
