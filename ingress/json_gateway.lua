-- Checks JSON requests before Envoy translates them to gRPC, reports errors of streams after the first message, and answers
-- CORS preflights of origins that are not allowed.
--
-- Envoy's translation drops unknown fields (https://github.com/envoyproxy/envoy/issues/46623), forwards unknown paths
-- unchanged, and ends a stream that has failed like one that has succeeded (https://github.com/envoyproxy/envoy/issues/5011).
-- `methods` and `fields` are defined by the output of lua_schema.py, which the build prepends to this file (json.lua).

local FILTER = "json_gateway"
local MAX_DEPTH = 100
local MAX_QUOTED_KEY = 100
local UNKNOWN, INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED = 2, 3, 5, 7, 12

-- The HTTP status of each gRPC status: https://cloud.google.com/apis/design/errors#handling_errors.
local HTTP_STATUS = {
  [1] = "499", [2] = "500", [3] = "400", [4] = "504", [5] = "404", [6] = "409", [7] = "403", [8] = "429", [9] = "400",
  [10] = "409", [11] = "400", [12] = "501", [13] = "500", [14] = "503", [15] = "500", [16] = "401",
}

-- The gRPC status of an error that Envoy itself reports.
local GRPC_STATUS = {["400"] = 3, ["413"] = 8, ["500"] = 13, ["502"] = 14, ["503"] = 14, ["504"] = 4}

local ESCAPES = {['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t"}

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(letter)
    return ESCAPES[letter] or string.format("\\u%04x", letter:byte())
  end) .. '"'
end

-- Returns a google.rpc.Status in JSON, like the one that Envoy writes for a unary call.
local function status_json(code, message, details)
  return '{"code":' .. code .. ',"message":' .. quoted(message) .. ',"details":[' .. table.concat(details, ",") .. "]}"
end

local function refuse(handle, http_status, code, message, allow)
  local headers = {[":status"] = http_status, ["content-type"] = "application/json", ["allow"] = allow}
  handle:respond(headers, status_json(code, message, {}) .. "\n")
end

-- JSON ---------------------------------------------------------------------------------------------------------------

local function skip_space(text, at)
  return text:find("[^ \t\r\n]", at) or #text + 1
end

-- Returns a string of JSON without its quotes, and the position after it; nil if it is malformed.
local function read_string(text, at)
  local from = at + 1
  at = text:find('["\\]', from)
  while at and text:sub(at, at) == "\\" do
    at = text:find('["\\]', at + 2)
  end
  if not at then
    return nil
  end
  local value = text:sub(from, at - 1):gsub("\\u00(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end):gsub('\\(["\\/])', "%1")
  return value, at + 1
end

-- Returns the position after a value of JSON. If it contains a field that its message type does not have, returns nil and
-- the problem; if it is malformed, returns nil.
local function check_value(text, at, message_type, depth)
  at = skip_space(text, at)
  local first = text:sub(at, at)
  if first == '"' then
    local _, after = read_string(text, at)
    return after
  end
  if first ~= "{" and first ~= "[" then
    return text:match("^[%w+.-]+()", at)
  end
  local closing = first == "{" and "}" or "]"
  local known = first == "{" and fields[message_type]
  at = skip_space(text, at + 1)
  if text:sub(at, at) == closing then
    return at + 1
  end
  while depth < MAX_DEPTH do
    local value_type, problem = message_type, nil
    if first == "{" then
      local key
      if text:sub(at, at) ~= '"' then
        return nil
      end
      key, at = read_string(text, at)
      at = at and skip_space(text, at)
      if not at or text:sub(at, at) ~= ":" then
        return nil
      end
      at = at + 1
      if known and not known[key] then
        local shown = key:sub(1, MAX_QUOTED_KEY):gsub("[^ -~]", "?") -- it may be large and not UTF-8
        return nil, "unknown field " .. quoted(shown) .. ": " .. message_type .. " does not have it"
      end
      value_type = known and known[key] or ""
    end
    at, problem = check_value(text, at, value_type, depth + 1)
    if not at then
      return nil, problem
    end
    at = skip_space(text, at)
    local separator = text:sub(at, at)
    if separator == closing then
      return at + 1
    end
    if separator ~= "," then
      return nil
    end
    at = skip_space(text, at + 1)
  end
  return nil
end

-- Returns what is wrong with a request, or nil. Envoy's own parser accepts more than JSON, such as keys without quotes.
local function problem_of(text, message_type)
  local at, problem = check_value(text, 1, message_type, 0)
  if at and skip_space(text, at) > #text then
    return nil
  end
  return problem or "the request is not valid JSON"
end

-- google.rpc.Status on the wire -----------------------------------------------------------------------------------------

local DIGITS = {}
for index = 1, 64 do
  DIGITS[("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"):byte(index)] = index - 1
end

local function decode_base64(text)
  local bytes, buffer, bits = {}, 0, 0
  for index = 1, #text do
    local digit = DIGITS[text:byte(index)]
    if digit then
      buffer, bits = buffer * 64 + digit, bits + 6
      if bits >= 8 then
        bits = bits - 8
        local divisor = 2 ^ bits
        bytes[#bytes + 1] = string.char(math.floor(buffer / divisor))
        buffer = buffer % divisor
      end
    end
  end
  return table.concat(bytes)
end

-- Returns the values of each field of a message, by number: https://protobuf.dev/programming-guides/encoding/.
local function decode_message(bytes)
  local values, at = {}, 1
  local function varint()
    local value, factor, byte = 0, 1, nil
    repeat
      byte = bytes:byte(at) or 0
      value, factor, at = value + byte % 128 * factor, factor * 128, at + 1
    until byte < 128
    return value
  end
  while at <= #bytes do
    local tag = varint()
    local number, wire_type, value = math.floor(tag / 8), tag % 8, nil
    if wire_type == 0 then
      value = varint()
    elseif wire_type == 2 then
      local length = varint()
      value, at = bytes:sub(at, at + length - 1), at + length
    else
      at = at + (wire_type == 1 and 8 or 4)
    end
    values[number] = values[number] or {}
    table.insert(values[number], value)
  end
  return values
end

local function text_of(values, number)
  return values[number] and values[number][1] or ""
end

local function error_info(values)
  local entries = {}
  for _, entry in ipairs(values[3] or {}) do
    local pair = decode_message(entry)
    entries[#entries + 1] = quoted(text_of(pair, 1)) .. ":" .. quoted(text_of(pair, 2))
  end
  return '"reason":' .. quoted(text_of(values, 1)) .. ',"domain":' .. quoted(text_of(values, 2))
    .. ',"metadata":{' .. table.concat(entries, ",") .. "}"
end

local function bad_request(values)
  local violations = {}
  for _, bytes in ipairs(values[1] or {}) do
    local violation = decode_message(bytes)
    violations[#violations + 1] = '{"field":' .. quoted(text_of(violation, 1)) .. ',"description":'
      .. quoted(text_of(violation, 2)) .. ',"reason":' .. quoted(text_of(violation, 3)) .. "}"
  end
  return '"field_violations":[' .. table.concat(violations, ",") .. "]"
end

local DETAILS = {
  ["type.googleapis.com/google.rpc.ErrorInfo"] = error_info,
  ["type.googleapis.com/google.rpc.BadRequest"] = bad_request,
}

-- Returns the details of a google.rpc.Status, each in JSON.
local function details_of(status)
  local details = {}
  for _, bytes in ipairs(status[3] or {}) do
    local any = decode_message(tostring(bytes))
    local name = text_of(any, 1)
    local write = DETAILS[name]
    local content = write and "," .. write(decode_message(text_of(any, 2))) or ""
    details[#details + 1] = '{"@type":' .. quoted(name) .. content .. "}"
  end
  return details
end

local function decode_percent(text)
  return (text:gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- The filter ------------------------------------------------------------------------------------------------------------

function envoy_on_request(handle)
  local headers = handle:headers()
  local verb, content_type = headers:get(":method"), headers:get("content-type") or ""
  local target = headers:get(":path") or "" -- CONNECT has none
  local path = target:match("^[^?]*")
  local method = methods[path]
  if verb == "OPTIONS" and headers:get("access-control-request-method") then -- the CORS filter has not answered it
    local message = "pages of this origin may not call this server; the operator can allow it with --allow-origin"
    return refuse(handle, "403", PERMISSION_DENIED, message)
  end
  local is_json = content_type:match("^application/json")
  if content_type:match("^application/grpc") or not (method or is_json) then
    return -- gRPC (gRPC-Web has become gRPC in an earlier filter), or not a call
  end
  -- Wait for the whole request even if it is refused: to a client that is still sending, an early response looks like a broken
  -- connection.
  local body = handle:body()
  if method and verb ~= "POST" then
    return refuse(handle, "405", UNIMPLEMENTED, path .. " is a method: send its request with POST", "POST")
  end
  if not is_json then
    -- A page of another origin could send other types without a preflight.
    return refuse(handle, "415", INVALID_ARGUMENT, "the content-type must be application/json, or that of gRPC or gRPC-Web")
  end
  if target ~= path then
    return refuse(handle, "400", INVALID_ARGUMENT, "a call with JSON has no query: send fields in the body")
  end
  local text = body and body:getBytes(0, body:length()) or ""
  if not method then
    local message = path .. " cannot be called with JSON: it is not a method of a service that accepts JSON, such as"
    return refuse(handle, "404", NOT_FOUND, message .. " /calculator.v1.Calculator/Calculate")
  end
  if skip_space(text, 1) > #text then
    return refuse(handle, "400", INVALID_ARGUMENT, "the request has no body: it must be a message in JSON, such as {}")
  end
  local problem = problem_of(text, method.request)
  if problem then
    return refuse(handle, "400", INVALID_ARGUMENT, problem)
  end
  handle:streamInfo():dynamicMetadata():set(FILTER, "streams", method.streams)
end

function envoy_on_response(handle)
  local metadata = handle:streamInfo():dynamicMetadata():get(FILTER)
  if not metadata then
    return
  end
  local http_status = handle:headers():get(":status")
  if http_status ~= "200" and (handle:headers():get("content-type") or ""):match("^text/plain") then
    local body = handle:body(true)
    local message = body:getBytes(0, body:length())
    local length = body:setBytes(status_json(GRPC_STATUS[http_status] or UNKNOWN, message, {}))
    handle:headers():replace("content-type", "application/json")
    handle:headers():replace("content-length", tostring(length))
    return
  end
  if not metadata["streams"] or http_status ~= "200" then
    return
  end
  local body = handle:body(true) -- holds the headers back until the end of the stream
  local trailers = handle:trailers()
  local code = trailers and (tonumber(trailers:get("grpc-status") or "") or UNKNOWN) or 0
  if code == 0 then
    return
  end
  local status = decode_message(decode_base64(trailers:get("grpc-status-details-bin") or ""))
  local message = decode_percent(trailers:get("grpc-message") or "")
  local length = body:setBytes(status_json(code, message, details_of(status)))
  handle:headers():replace(":status", HTTP_STATUS[code] or "500")
  handle:headers():replace("content-length", tostring(length))
end
