// Follows the balancer: the event stream while it works, questions in intervals where it does not, and again and again
// with growing pauses while the balancer is not reached.

import { STREAM, get } from "./api.js";

/** A stream that says nothing for this long is taken for broken: the balancer speaks every second. */
const SILENCE_MS = 4000;
/** So long may the answer to a question take before the balancer counts as lost. */
const ANSWER_MS = 4000;
/** Pauses between attempts while the balancer is not reached, the last one for ever after. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];
/** The interval of questions where the stream does not work. */
const POLL_MS = 2000;
/** Questions until the stream is tried again. */
const POLLS_BETWEEN_STREAMS = 15;
/** Streams that broke before their first word until questions are asked instead. */
const STREAMS_FAILED_MAX = 2;

/**
 * A source of events: `snapshot` and `change` with the balancer's word as `detail`, `link` when its state changes, and
 * `away` when the balancer no longer knows who asks.
 */
export class Live extends EventTarget {
  /** `connecting`, `stream`, `poll` or `lost`. */
  link = "connecting";
  /** When the balancer was last heard of, by `Date.now`. */
  heard = Date.now();
  /** When the next attempt will be, by `Date.now`; `null` while none is planned. */
  next = null;
  #stream = null;
  #timer = 0;
  #silence = 0;
  #attempts = 0;
  #streamsFailed = 0;
  /** The interval of questions in milliseconds, where the stream does not work. */
  refresh;

  constructor(refresh) {
    super();
    this.refresh = refresh ?? POLL_MS;
  }

  start() {
    this.#open();
  }

  /** Tries at once, where it would wait. */
  retry() {
    if (this.link !== "lost") return;
    this.#attempts = 0;
    this.#again(0);
  }

  #open() {
    this.#close();
    const stream = new EventSource(STREAM);
    this.#stream = stream;
    let spoke = false;
    stream.addEventListener("snapshot", (event) => {
      spoke = true;
      this.#streamsFailed = 0;
      this.#hear("stream");
      this.#watch();
      this.#tell("snapshot", JSON.parse(event.data));
    });
    stream.addEventListener("change", (event) => {
      this.#watch();
      this.#tell("change", JSON.parse(event.data));
    });
    // The browser's own way of coming back tells nothing about why; ours asks.
    stream.addEventListener("error", () => this.#broke(spoke));
    this.#watch();
  }

  #watch() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#broke(false), SILENCE_MS);
  }

  #close() {
    clearTimeout(this.#silence);
    clearTimeout(this.#timer);
    this.#stream?.close();
    this.#stream = null;
  }

  #broke(spoke) {
    this.#close();
    if (!spoke) this.#streamsFailed += 1;
    this.#ask(0);
  }

  /** Asks once; what comes of it decides how to go on. `polls`: how often it was asked since the stream was tried. */
  async #ask(polls) {
    try {
      const snapshot = await get("/status", {}, ANSWER_MS);
      const isPolling = this.#streamsFailed >= STREAMS_FAILED_MAX;
      this.#hear(isPolling ? "poll" : this.link);
      this.#tell("snapshot", snapshot);
      if (isPolling && polls < POLLS_BETWEEN_STREAMS) {
        this.#timer = setTimeout(() => this.#ask(polls + 1), this.refresh);
      } else {
        this.#open();
      }
    } catch (refusal) {
      this.#lose(refusal);
    }
  }

  #hear(link) {
    this.heard = Date.now();
    this.next = null;
    this.#attempts = 0;
    this.#become(link === "lost" ? "connecting" : link);
  }

  #lose(refusal) {
    if (refusal.status === 401 || refusal.status === 403) {
      this.#tell("away", null);
      return;
    }
    const pause = PAUSES_MS[Math.min(this.#attempts, PAUSES_MS.length - 1)];
    this.#attempts += 1;
    // Many pages that lost one balancer are not to come back at one moment.
    this.#again(pause * (0.75 + Math.random() / 2));
    this.#become("lost");
  }

  #again(pause) {
    this.#close();
    this.next = Date.now() + pause;
    this.#timer = setTimeout(() => {
      this.next = null;
      this.#ask(0);
    }, pause);
  }

  #become(link) {
    if (this.link === link) return;
    this.link = link;
    this.#tell("link", link);
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
