// Tests of the web page in a real browser, with the real Envoy and server behind it.

import assert from "node:assert/strict";
import { createSign, generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect, createServer as createRelay } from "node:net";
import { dirname, join, resolve } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { described, withText } from "./picture.ts";
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

/** Closes the page and opens it again. An uncaught exception in the page fails the test. */
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

test("the picture in the README shows the page as it is", async () => {
  await page.setViewportSize({ height: 408, width: 900 });
  await evaluate("2*(3+4)^2");
  await result();
  const taken = withText(await page.screenshot({ animations: "disabled" }), await page.locator("body").innerText());
  writeFileSync(join(SCREENSHOTS, "page.png"), taken);
  const stale = "docs/page.png is not current: copy page.png from the outputs of this test";
  assert.deepEqual(described(readFileSync("docs/page.png")), described(taken), stale);
});

test("two numbers are added", async () => {
  await evaluate("2+3");
  assert.equal(await result(), "= 5");
});

test("the steps and the result of an expression are shown", async () => {
  await evaluate("2*(3+4)^2");
  assert.equal(await result(), "= 98");
  const steps = await page.locator(".steps li").allInnerTexts();
  assert.deepEqual(steps, [
    "3 + 4 = 7, which leaves 2*7^2",
    "7 ^ 2 = 49, which leaves 2*49",
    "2 * 49 = 98, which leaves 98",
  ]);
});

test("the steps of functions and constants are shown", async () => {
  await evaluate("max(2, sqrt(9))*pi");
  assert.equal(await result(), "= 9.42477796076938");
  const steps = await page.locator(".steps li").allInnerTexts();
  assert.deepEqual(steps, [
    "sqrt(9) = 3, which leaves max(2,3)*pi",
    "max(2, 3) = 3, which leaves 3*pi",
    "pi = 3.141592653589793, which leaves 3*3.141592653589793",
    "3 * 3.141592653589793 = 9.42477796076938, which leaves 9.42477796076938",
  ]);
});

test("results follow each other, and the test prints how long each takes", async () => {
  const times: number[] = [];
  for (let round = 0; round < 5; round++) {
    await page.getByLabel("Expression").fill(`${round}+1`);
    times.push(await page.evaluate(untilResult));
    assert.equal(await textOf("#evaluate output"), `= ${round + 1}`);
  }
  console.log(`from the click to the result: ${times.map((time) => time.toFixed(1)).join(", ")} ms`);
});

/** Clicks Evaluate, and returns the milliseconds until the result is in the page. */
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

test("an error in an expression is explained, and its position is marked", async () => {
  await evaluate("2*(");
  assert.match(await problem("#evaluate"), /^A number, a name, a parenthesis or a sign is expected, not the end/u);
  await evaluate("2*$+1");
  await page.locator("#evaluate mark").waitFor();
  assert.equal(await page.locator("#evaluate mark").innerText(), "$");
  await evaluate("2*sine(1)");
  await page.getByText("One of the names pi, e, sqrt").waitFor();
  assert.equal(await page.locator("#evaluate mark").innerText(), "sine");
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

test("more numbers than fit into one message are all described", async () => {
  const numbers = Array.from({ length: 25_000 }, (_, place) => place + 1).join("\n");
  await page.getByLabel("Numbers", { exact: true }).evaluate((area: HTMLTextAreaElement, text) => {
    area.value = text; // as if pasted, since typing would take too long
  }, numbers);
  await page.getByRole("button", { name: "Describe" }).click();
  await page.locator("#aggregate dl").waitFor();
  assert.match(await textOf("#aggregate dl"), /Count\s+25000\s+Sum\s+312512500\s/u);
});

test("a word that is not a number is named", async () => {
  await page.getByLabel("Numbers", { exact: true }).fill("1\n2,5\n3");
  await page.getByRole("button", { name: "Describe" }).click();
  assert.match(await problem("#aggregate"), /^Number 2: '2,5' is not a number\. Write decimals with a point/u);
});

test("a conversation remembers its last result, even after an error", async () => {
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

test("lines sent before an answer arrives are answered in order, and no typed text is lost", async () => {
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

test("an expression can be evaluated with the keyboard alone", async () => {
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "expression");
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.type("6*7");
  await page.keyboard.press("Enter");
  assert.equal(await result(), "= 42");
});

test("an unreachable server is reported, and the page works again once the server is back", async () => {
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

test("a call is retried silently if the connection to the server breaks", async () => {
  await using mine = await Program.start("SERVER");
  let connections = 0;
  const relay = createRelay((client) => {
    connections += 1;
    if (connections === 1) {
      client.destroy(); // as an instance does that is starting or has crashed
      return;
    }
    const server = connect(mine.port, "127.0.0.1");
    client.on("error", () => server.destroy()).pipe(server);
    server.on("error", () => client.destroy()).pipe(client);
  });
  await new Promise<void>((done) => relay.listen(0, "127.0.0.1", done));
  try {
    await using itsIngress = await Program.start("INGRESS", `--server-port=${(relay.address() as AddressInfo).port}`);
    page = await open(itsIngress);
    await evaluate("2+2");
    assert.equal(await result(), "= 4");
    assert.equal(connections, 2);
  } finally {
    relay.close();
  }
});

/** A fake of Google's issuer of identity tokens, which also serves its JWKS. */
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
    const parts = [{ alg: "RS256", kid: "1" }, issued].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url"),
    );
    const signature = createSign("RSA-SHA256").update(parts.join(".")).sign(this.#keys.privateKey, "base64url");
    return [...parts, signature].join(".");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
  }
}

test("a service that requires authentication accepts a valid identity token and refuses an invalid one", async () => {
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
  assert.match(await problem("#evaluate"), /^The service requires authentication\. Paste an identity token below/u);
  const token = page.getByLabel("Identity token");
  await token.waitFor(); // the collapsed section has been opened
  for (const bad of ["nonsense", issuer.token("you@example.com")]) {
    await token.fill(bad);
    await evaluate("2+3");
    await page.getByText("The service refuses your identity token: ").waitFor();
  }
  await token.fill(issuer.token("me@example.com"));
  await evaluate("2+3");
  assert.equal(await result(), "= 5");
});

test("the page can neither load from nor connect to another origin, nor be framed", async () => {
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
      seen.push("a script from text");
    }
    return seen;
  });
  assert.deepEqual(new Set(violated), new Set(["connect-src", "img-src", "a script from text"]));
  const response = await page.goto(`http://localhost:${ingress.port}/`);
  assert.equal(response?.headers()["content-security-policy"], "frame-ancestors 'none'");
});

for (const scheme of ["light", "dark"] as const) {
  test(`the page has no accessibility violations in the ${scheme} color scheme`, async () => {
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
    // The page's policy blocks injected scripts, including this one; only the browser's debugging interface can run it.
    await page.evaluate(axe.source);
    const { violations } = await page.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run());
    assert.deepEqual(
      violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]),
      [],
    );
  });
}

test("the page fits the screen of a phone", async () => {
  await page.setViewportSize({ height: 640, width: 320 });
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  );
  assert.equal(overflow, 0);
});
