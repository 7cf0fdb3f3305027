// Asks the balancer. Every question has a deadline, and what is refused is thrown as a `Refusal`.

const BASE = "/api/v1";
/** A question that is not answered within this time has failed. */
const DEADLINE_MS = 10_000;

/** Why a question was not answered as asked. `kind` is the balancer's word, `lost` when it was not reached. */
export class Refusal extends Error {
  constructor(kind, why, status = 0) {
    super(why);
    this.kind = kind;
    this.status = status;
  }
}

let token = "";

/** Who is logged in: `{user, full, token}`. The token goes along with changes from then on. */
export async function whoami() {
  const who = await ask("GET", "/whoami");
  token = who.token;
  return who;
}

/** A question that changes nothing. */
export function get(path, query = {}, deadline = DEADLINE_MS) {
  return ask("GET", path + queryText(query), undefined, deadline);
}

/** A change; `body` is an object or absent. */
export function change(method, path, body, query = {}) {
  return ask(method, path + queryText(query), body);
}

/** The address of the event stream. */
export const STREAM = `${BASE}/stream`;

/** A path of names: `path("services", name)`. */
export function path(...names) {
  return `/${names.map(encodeURIComponent).join("/")}`;
}

function queryText(query) {
  const given = Object.entries(query).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return given.length === 0 ? "" : `?${new URLSearchParams(given)}`;
}

async function ask(method, target, body, deadline = DEADLINE_MS) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-Director-Token"] = token;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  let text;
  try {
    response = await fetch(BASE + target, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(deadline),
    });
    text = await response.text();
  } catch (error) {
    const why =
      error.name === "TimeoutError" ? "The balancer did not answer in time." : "The balancer was not reached.";
    throw new Refusal("lost", why);
  }
  const isJson = (response.headers.get("Content-Type") ?? "").startsWith("application/json");
  const answer = isJson ? parsed(text) : text;
  if (response.ok) return answer;
  const error = answer?.error;
  throw new Refusal(
    error?.kind ?? "failed",
    error?.why ?? `The balancer answered ${response.status}.`,
    response.status,
  );
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
