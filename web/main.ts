// The page: its forms call the calculator over gRPC-Web, at the origin that serves the page.

import { createClient } from "@connectrpc/connect";
import { Calculator } from "@proto/calculator/v1/calculator_pb.js";
import { retrying } from "../client/ts/retries.ts";
import { identified } from "./access.ts";
import { aggregating } from "./aggregate.ts";
import { conversing } from "./converse.ts";
import { evaluating } from "./evaluate.ts";
import { find } from "./panel.ts";
import { createBufferingTransport } from "./transport.ts";

const TIMEOUT_MS = 10_000;

const transport = createBufferingTransport({
  baseUrl: location.origin,
  defaultTimeoutMs: TIMEOUT_MS,
  interceptors: [retrying, identified],
});
const client = createClient(Calculator, transport);

evaluating(find(document, "#evaluate", HTMLFormElement), client);
aggregating(find(document, "#aggregate", HTMLFormElement), client);
conversing(find(document, "#converse", HTMLFormElement), client);
