// "Step by step": the steps of an expression as they arrive, and the result.

import type { Client, ConnectError } from "@connectrpc/connect";
import type { Calculator, EvaluateResponse_Step } from "@proto/calculator/v1/calculator_pb.js";
import { formatNumber } from "../client/ts/numbers.ts";
import { signOf } from "../client/ts/operations.ts";
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

function item({ firstOperand, operation, secondOperand, result, remaining }: EvaluateResponse_Step): HTMLLIElement {
  const line = document.createElement("li");
  const rest = document.createElement("span");
  const [first, second, value] = [firstOperand, secondOperand, result].map(formatNumber);
  rest.textContent = `, which leaves ${remaining}`;
  line.append(`${first} ${signOf(operation)} ${second} = ${value}`, rest);
  return line;
}

/** Returns the expression with the invalid character marked. */
function marked(expression: string, position: number): HTMLElement {
  const shown = document.createElement("code");
  const mark = document.createElement("mark");
  const characters = [...expression]; // the server counts code points, not UTF-16 code units
  mark.textContent = characters[position] ?? " ";
  const [before, after] = [characters.slice(0, position), characters.slice(position + 1)];
  shown.append("\n", before.join(""), mark, after.join(""));
  return shown;
}
