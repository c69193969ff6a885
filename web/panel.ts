// What the parts of the page have in common: a form that asks the server, and what is said when there is no answer.

import type { ConnectError } from "@connectrpc/connect";
import { errorOf } from "../client/ts/status.ts";
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

interface Asking {
  /** Adds to what is told of an error of the server's. */
  readonly explain?: (error: ConnectError, text: string) => readonly Node[];
  /** Whether what is submitted while an answer is awaited waits for its turn; otherwise it takes that question's place. */
  readonly queued?: boolean;
}

/**
 * Has a form ask the server when it is submitted.
 *
 * @param input where the question is typed.
 * @param ask asks what was in the input when the form was submitted; what it throws is told to the person.
 */
export function panel(
  form: HTMLFormElement,
  input: HTMLInputElement | HTMLTextAreaElement,
  ask: (text: string, signal: AbortSignal) => Promise<void>,
  { explain = () => [], queued = false }: Asking = {},
): void {
  const problem = find(form, ".problem", HTMLElement);
  let last = { controller: new AbortController(), over: Promise.resolve() };

  const answer = async (text: string, signal: AbortSignal, turn: Promise<void>): Promise<void> => {
    await turn;
    problem.replaceChildren();
    try {
      await ask(text, signal);
    } catch (thrown) {
      if (!signal.aborted) {
        problem.replaceChildren(...told(thrown, (error) => explain(error, text)));
      }
    }
  };
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!queued) {
      last.controller.abort();
    }
    const controller = new AbortController();
    const over = answer(input.value.trim(), controller.signal, queued ? last.over : Promise.resolve());
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
