// What the parts of the page have in common: a form that asks the server, and what is said when there is no answer.

import type { ConnectError } from "@connectrpc/connect";
import { errorOf } from "../client/ts/failures.ts";
import { hasToken, showAccess } from "./access.ts";
import { isAboutAccess, sentence } from "./problems.ts";

/** Something that the person has to mend before the server is asked. */
export class InputProblem extends Error {}

/** Returns the one element that a part of the page has for something. */
export function find<E extends Element>(root: ParentNode, selector: string, kind: new () => E): E {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) {
    throw new TypeError(`the page has no ${selector}`);
  }
  return found;
}

/** How a form asks. */
interface Asking {
  /** Adds to what is told of an error of the server's. */
  readonly explain?: (error: ConnectError) => readonly Node[];
  /** Whether what is sent while an answer is awaited waits for its turn; otherwise it takes that question's place. */
  readonly takesTurns?: boolean;
}

/**
 * Has a form ask the server when it is sent.
 *
 * @param ask asks; what it throws is told to the person.
 */
export function panel(
  form: HTMLFormElement,
  ask: (signal: AbortSignal) => Promise<void>,
  { explain = () => [], takesTurns = false }: Asking = {},
): void {
  const problem = find(form, ".problem", HTMLElement);
  let last = { controller: new AbortController(), over: Promise.resolve() };

  const answer = async (signal: AbortSignal, turn: Promise<void>): Promise<void> => {
    await turn;
    problem.replaceChildren();
    try {
      await ask(signal);
    } catch (thrown) {
      if (!signal.aborted) {
        problem.replaceChildren(...told(thrown, explain));
      }
    }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!takesTurns) {
      last.controller.abort();
    }
    const controller = new AbortController();
    const over = answer(controller.signal, takesTurns ? last.over : Promise.resolve());
    const mine = { controller, over };
    last = mine;
    form.ariaBusy = "true";
    await over;
    if (last === mine) {
      form.ariaBusy = null;
    }
  });
}

function told(thrown: unknown, explain: (error: ConnectError) => readonly Node[]): readonly (Node | string)[] {
  if (thrown instanceof InputProblem) {
    return [thrown.message];
  }
  const error = errorOf(thrown);
  if (isAboutAccess(error)) {
    showAccess();
  }
  return [sentence(error, hasToken()), ...explain(error)];
}
