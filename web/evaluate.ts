// "Step by step": the steps of an expression as they arrive, and the result.

import type { Client, ConnectError } from "@connectrpc/connect";
import type { Calculator, EvaluateResponse_Step } from "@proto/calculator/v1/calculator_pb.js";
import { formatNumber } from "../client/ts/numbers.ts";
import { describeStep } from "../client/ts/operations.ts";
import { find, InputProblem, panel } from "./panel.ts";
import { positionOf } from "./problems.ts";

/** Sets up the form that evaluates expressions. */
export function evaluating(form: HTMLFormElement, client: Client<typeof Calculator>): void {
  const input = find(form, "input", HTMLInputElement);
  const steps = find(form, ".steps", HTMLOListElement);
  const output = find(form, "output", HTMLOutputElement);

  const ask = async (expression: string, signal: AbortSignal): Promise<void> => {
    steps.replaceChildren();
    output.value = "";
    if (!expression) {
      throw new InputProblem("Type an expression, such as 2*(3+4)^2.");
    }
    for await (const { progress } of client.evaluate({ expression }, { signal })) {
      if (progress.case === "step") {
        steps.append(item(progress.value));
      } else if (progress.case === "result") {
        output.value = `= ${formatNumber(progress.value)}`;
      }
    }
  };
  const explain = (error: ConnectError, expression: string): readonly Node[] => {
    const position = positionOf(error);
    return position === undefined ? [] : [marked(expression, position)];
  };
  panel(form, input, ask, { explain });
}

function item(step: EvaluateResponse_Step): HTMLLIElement {
  const line = document.createElement("li");
  const rest = document.createElement("span");
  rest.textContent = `, which leaves ${step.remaining}`;
  line.append(describeStep(step), rest);
  return line;
}

/** Returns the expression with the invalid name or character marked. */
function marked(expression: string, position: number): HTMLElement {
  const shown = document.createElement("code");
  const mark = document.createElement("mark");
  const characters = [...expression]; // the server counts code points, not UTF-16 code units
  const [before, rest] = [characters.slice(0, position).join(""), characters.slice(position).join("")];
  const [found = ""] = /^(?:[a-z]\w*|.)/iu.exec(rest) ?? [];
  mark.textContent = found || " ";
  shown.append("\n", before, mark, rest.slice(found.length));
  return shown;
}
