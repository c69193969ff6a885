// Shared code of the page's forms: calling the server on submit, and showing problems.

import type { ConnectError } from "@connectrpc/connect";
import { errorOf } from "../client/ts/status.ts";
import { hasToken, showAccess } from "./access.ts";
import { isAboutAccess, sentence } from "./problems.ts";

/** Invalid input that the user has to correct before the server is called. */
export class InputProblem extends Error {}

/** Returns the first element that matches a selector; throws if there is none of the expected kind. */
export function find<E extends Element>(root: ParentNode, selector: string, kind: new () => E): E {
  const found = root.querySelector(selector);
  if (!(found instanceof kind)) {
    throw new TypeError(`the page has no ${selector}`);
  }
  return found;
}

interface PanelOptions {
  /** Returns nodes to show after the message of a server error. */
  readonly explain?: (error: ConnectError, text: string) => readonly Node[];
  /** Whether a submission waits for the answer to the previous one; otherwise it cancels the previous one. */
  readonly queued?: boolean;
}

/**
 * Calls the server when a form is submitted.
 *
 * @param input the field whose text is submitted.
 * @param ask calls the server with the submitted text; an error that it throws is shown to the user.
 */
export function panel(
  form: HTMLFormElement,
  input: HTMLInputElement | HTMLTextAreaElement,
  ask: (text: string, signal: AbortSignal) => Promise<void>,
  { explain = () => [], queued = false }: PanelOptions = {},
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
        problem.replaceChildren(...problemNodes(thrown, (error) => explain(error, text)));
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

function problemNodes(thrown: unknown, explain: (error: ConnectError) => readonly Node[]): readonly (Node | string)[] {
  if (thrown instanceof InputProblem) {
    return [thrown.message];
  }
  const error = errorOf(thrown);
  if (isAboutAccess(error)) {
    showAccess();
  }
  return [sentence(error, hasToken()), ...explain(error)];
}
