// The page in a real browser, against the real chain: page, Envoy, server.

import assert from "node:assert/strict";
import { createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join, resolve } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { Program, TIMEOUT_MS } from "./programs.ts";

const SCREENSHOTS = process.env["TEST_UNDECLARED_OUTPUTS_DIR"] ?? ".";
const CHROMIUM = resolve(process.env["CHROMIUM"] ?? "");

let browser: Browser;
let server: Program;
let ingress: Program;
let page: Page;

before(async () => {
  const folder = dirname(CHROMIUM);
  browser = await chromium.launch({
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
    env: { ...process.env, FONTCONFIG_FILE: join(folder, "fonts.conf"), LD_LIBRARY_PATH: join(folder, "lib") },
    executablePath: CHROMIUM,
    timeout: TIMEOUT_MS,
  });
  server = await Program.start("SERVER");
  ingress = await Program.start("INGRESS", `--server-port=${server.port}`);
});

after(async () => {
  await browser.close();
  await ingress.stop();
  await server.stop();
});

beforeEach(async () => {
  page = await open(ingress);
});

/** Opens the page anew. What it throws, and nobody catches, fails the test. */
async function open(from: Program): Promise<Page> {
  await page?.close();
  const opened = await browser.newPage();
  opened.setDefaultTimeout(TIMEOUT_MS);
  opened.on("pageerror", (error) => assert.fail(error));
  await opened.goto(`http://localhost:${from.port}/`);
  return opened;
}

const evaluate = async (expression: string): Promise<void> => {
  await page.getByLabel("Expression").fill(expression);
  await page.getByRole("button", { name: "Evaluate" }).click();
};

const textOf = async (selector: string): Promise<string> => (await page.locator(selector).innerText()).trim();

const result = async (): Promise<string> => {
  await page.locator("#evaluate output:not(:empty)").waitFor();
  return textOf("#evaluate output");
};

const problem = async (form: string): Promise<string> => {
  await page.locator(`${form} .problem:not(:empty)`).waitFor();
  return textOf(`${form} .problem`);
};

test("two numbers are added", async () => {
  await evaluate("2+3");
  assert.equal(await result(), "= 5");
});

test("every step of an expression is shown, and the result", async () => {
  await evaluate("2*(3+4)^2");
  assert.equal(await result(), "= 98");
  const steps = await page.locator(".steps li").allInnerTexts();
  assert.deepEqual(steps, [
    "3 + 4 = 7, which leaves 2*7^2",
    "7 ^ 2 = 49, which leaves 2*49",
    "2 * 49 = 98, which leaves 98",
  ]);
});

test("one result follows another, and how long that takes is told", async () => {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    await page.getByLabel("Expression").fill(`${round}+1`);
    times.push(await page.evaluate(untilResult));
    assert.equal(await textOf("#evaluate output"), `= ${round + 1}`);
  }
  console.log(`from the click to the result: ${times.map((time) => time.toFixed(1)).join(", ")} ms`);
});

/** Clicks, and returns the milliseconds until the result is in the page. */
function untilResult(): Promise<number> {
  const output = document.querySelector("#evaluate output") as HTMLOutputElement;
  output.value = "";
  return new Promise((done) => {
    const clicked = performance.now();
    new MutationObserver(() => {
      if (output.value) {
        done(performance.now() - clicked);
      }
    }).observe(output, { childList: true, characterData: true, subtree: true });
    (document.querySelector("#evaluate button") as HTMLButtonElement).click();
  });
}

test("what is wrong with an expression is said, and shown where", async () => {
  await evaluate("2*(");
  assert.match(await problem("#evaluate"), /^A number, a parenthesis or a minus is expected, not the end/u);
  await evaluate("2*$+1");
  await page.locator("#evaluate mark").waitFor();
  assert.equal(await page.locator("#evaluate mark").innerText(), "$");
  await evaluate("1/0");
  await page.getByText("1 / 0 divides by zero").waitFor();
  assert.equal(await page.locator("#evaluate mark").count(), 0);
});

test("a column of numbers is described and drawn", async () => {
  await page.getByLabel("Numbers", { exact: true }).fill("3\n1\n4\n1\n5");
  await page.getByRole("button", { name: "Describe" }).click();
  const drawn = page.getByRole("img", {
    name: "A histogram of 5 numbers from 1 to 5, with a line at their mean, 2.8.",
  });
  await drawn.waitFor();
  assert.match(await textOf("#aggregate dl"), /Count\s+5\s+Sum\s+14\s+Mean\s+2\.8\s+Standard deviation\s+1\.6/u);
});

test("a column of more numbers than a message may have is described whole", async () => {
  const numbers = Array.from({ length: 25_000 }, (_, place) => place + 1).join("\n");
  await page.getByLabel("Numbers", { exact: true }).evaluate((area: HTMLTextAreaElement, text) => {
    area.value = text; // as if it were pasted: to type it would take long
  }, numbers);
  await page.getByRole("button", { name: "Describe" }).click();
  await page.locator("#aggregate dl").waitFor();
  assert.match(await textOf("#aggregate dl"), /Count\s+25000\s+Sum\s+312512500\s/u);
});

test("a word that is no number is named", async () => {
  await page.getByLabel("Numbers", { exact: true }).fill("1\n2,5\n3");
  await page.getByRole("button", { name: "Describe" }).click();
  assert.match(await problem("#aggregate"), /^Number 2: '2,5' is not a number\. Write decimals with a point/u);
});

test("a conversation remembers its last result, also after an error", async () => {
  const line = page.getByLabel("Next line");
  for (const text of ["3 + 4", "* 2"]) {
    await line.fill(text);
    await line.press("Enter");
    await page.locator("#line").and(page.locator(":placeholder-shown")).waitFor();
  }
  await line.fill("/ 0");
  await line.press("Enter");
  assert.equal(await problem("#converse"), "14 / 0 divides by zero.");
  assert.equal(await line.inputValue(), "/ 0");
  await line.fill("- 4");
  await line.press("Enter");
  await page.getByText("- 4 = 10").waitFor();
  assert.deepEqual(await page.locator(".tape li").allInnerTexts(), ["3 + 4 = 7", "* 2 = 14", "- 4 = 10"]);
});

test("lines that are sent before an answer has come are answered in their turn, and nothing typed is lost", async () => {
  const line = page.getByLabel("Next line");
  const { promise: sent, resolve: allAreSent } = Promise.withResolvers<void>();
  await page.route("**/Converse", async (route) => {
    await sent;
    await route.continue();
  });
  await line.fill("3 + 4");
  await line.press("Enter");
  await line.fill("* 2");
  await line.press("Enter");
  await line.fill("- 1");
  allAreSent();
  await page.getByText("* 2 = 14").waitFor();
  assert.deepEqual(await page.locator(".tape li").allInnerTexts(), ["3 + 4 = 7", "* 2 = 14"]);
  assert.equal(await line.inputValue(), "- 1");
});

test("all of it can be done by keyboard alone", async () => {
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "expression");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("6*7");
  await page.keyboard.press("Enter");
  assert.equal(await result(), "= 42");
});

test("a server that has gone away is said, and when it is back all goes on", async () => {
  await using mine = await Program.start("SERVER");
  await using itsIngress = await Program.start("INGRESS", `--server-port=${mine.port}`);
  page = await open(itsIngress);
  await evaluate("1+1");
  assert.equal(await result(), "= 2");
  await mine.stop("SIGKILL");
  await evaluate("2+2");
  assert.match(await problem("#evaluate"), /^The calculator cannot be reached\. What you typed is still here/u);
  assert.equal(await page.getByLabel("Expression").inputValue(), "2+2");
  await using _again = await Program.start("SERVER", `--port=${mine.port}`);
  await page.getByRole("button", { name: "Evaluate" }).click();
  assert.equal(await result(), "= 4");
  assert.equal(await textOf("#evaluate .problem"), "");
  await itsIngress.stop();
  await evaluate("3+3");
  assert.match(await problem("#evaluate"), /^The calculator cannot be reached/u);
});

test("a call that a server starts too late for is made again without a word", async () => {
  const mine = await Program.start("SERVER");
  await using itsIngress = await Program.start("INGRESS", `--server-port=${mine.port}`);
  page = await open(itsIngress);
  await mine.stop("SIGKILL");
  await evaluate("2+2");
  await using _again = await Program.start("SERVER", `--port=${mine.port}`);
  assert.equal(await result(), "= 4");
});

/** Issues identity tokens, and serves the keys that they are signed with, as Google does. */
class Issuer implements AsyncDisposable {
  readonly #keys = generateKeyPairSync("rsa", { modulusLength: 2048 });
  readonly #server = createServer((_, response) => {
    const key = { ...this.#keys.publicKey.export({ format: "jwk" }), alg: "RS256", kid: "1", use: "sig" };
    response.end(JSON.stringify({ keys: [key] }));
  });

  async url(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/certs`;
  }

  token(email: string): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = { aud: "https://calculator", email, email_verified: true, exp: now + 600, iat: now };
    const issued = { ...claims, iss: "https://accounts.google.com", sub: email };
    const said = [{ alg: "RS256", kid: "1" }, issued].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const signature = createSign("RSA-SHA256").update(said.join(".")).sign(this.#keys.privateKey, "base64url");
    return [...said, signature].join(".");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
  }
}

test("a service that asks who calls is told by a token, and refuses one that is not good", async () => {
  await using issuer = new Issuer();
  await using guarded = await Program.start(
    "SERVER",
    "--require-identity-token",
    "--allowed-audience=https://calculator",
    "--allowed-caller=me@example.com",
    `--identity-keys=${await issuer.url()}`,
  );
  await using itsIngress = await Program.start("INGRESS", `--server-port=${guarded.port}`);
  page = await open(itsIngress);
  await evaluate("2+3");
  assert.match(await problem("#evaluate"), /^The service wants to know who you are\. Paste an identity token below/u);
  const token = page.getByLabel("Identity token");
  await token.waitFor(); // the part of the page that was closed is open
  for (const bad of ["nonsense", issuer.token("you@example.com")]) {
    await token.fill(bad);
    await evaluate("2+3");
    await page.getByText("The service refuses your identity token: ").waitFor();
  }
  await token.fill(issuer.token("me@example.com"));
  await evaluate("2+3");
  assert.equal(await result(), "= 5");
});

test("the page loads nothing and reaches nobody else, and nobody can put it in a frame", async () => {
  const violated = await page.evaluate(async () => {
    const seen: string[] = [];
    document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
    const reached = fetch("https://example.com/").catch(() => undefined);
    const image = new Image();
    const shown = new Promise((done) => image.addEventListener("error", done));
    image.src = "https://example.com/x.png";
    await Promise.all([reached, shown]);
    try {
      document.createElement("script").text = "alert(1)";
    } catch {
      seen.push("a script out of a text");
    }
    return seen;
  });
  assert.deepEqual(new Set(violated), new Set(["connect-src", "img-src", "a script out of a text"]));
  const response = await page.goto(`http://localhost:${ingress.port}/`);
  assert.equal(response?.headers()["content-security-policy"], "frame-ancestors 'none'");
});

for (const scheme of ["light", "dark"] as const) {
  test(`nothing stands in the way of who cannot see, in ${scheme} colours`, async () => {
    await page.emulateMedia({ colorScheme: scheme });
    await evaluate("2*(3+4)^2");
    await result();
    await page.getByLabel("Numbers", { exact: true }).fill("3 1 4 1 5 9 2 6 5 3 5 8 9 7 9");
    await page.getByRole("button", { name: "Describe" }).click();
    await page.locator("#aggregate svg").waitFor();
    await page.getByLabel("Next line").fill("1 / 0");
    await page.getByLabel("Next line").press("Enter");
    await problem("#converse");
    await page.locator("summary").click();
    await page.screenshot({ fullPage: true, path: join(SCREENSHOTS, `${scheme}.png`) });
    // The page's own policy lets no script in, not even this one, but by the browser's own hand.
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
    assert.deepEqual(
      violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
      [],
    );
  });
}

test("the page fits a telephone", async () => {
  await page.setViewportSize({ height: 640, width: 320 });
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(overflow, 0);
});
