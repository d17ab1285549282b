/* The figures of the last minute and the last hour, as the server keeps them: loaded once, then one sample a second. */

import { ask, stream } from "./api.js";

const HIDDEN_MS = 30_000; // a page that nobody sees for so long gives its stream back
const RETRY_MS = 3000;

export class Samples extends EventTarget {
  state = "connecting"; // live, lost
  #fields = new Map();
  #spans = { minute: [], hour: [] };
  #steps = { minute: 1000, hour: 10_000 };
  #sizes = { minute: 61, hour: 361 };
  #source = null;
  #hidden = 0;

  start() {
    this.#open();
    document.addEventListener("visibilitychange", () => this.#onVisibility());
  }

  /** The samples of "minute" or "hour", the oldest one first. */
  of(span) {
    return this.#spans[span];
  }

  step(span) {
    return this.#steps[span];
  }

  length_ms(span) {
    return this.#steps[span] * (this.#sizes[span] - 1);
  }

  has(field) {
    return this.#fields.has(field);
  }

  /** A figure of a sample; null if the server has no such figure. */
  value(sample, field) {
    const at = this.#fields.get(field);
    return sample && at !== undefined ? sample[at] : null;
  }

  last(field) {
    return this.value(this.#spans.minute.at(-1), field);
  }

  /** [[at_ms, value], …] */
  series(span, field, scale = 1) {
    return this.#spans[span].map((sample) => {
      const value = this.value(sample, field);
      return [sample[0], value === null ? null : value * scale];
    });
  }

  /** The newest value that there was in the last minute, of a figure that has none while nothing happens. */
  latest(field, scale = 1) {
    return this.series("minute", field, scale).findLast(([, value]) => value !== null)?.[1] ?? null;
  }

  /** How much a figure grew in each step, for each one by which another figure grew; null where that did not. */
  average(span, field, by, scale = 1) {
    const count = this.growth(span, by, false);
    return this.growth(span, field, false).map(([at, grown], i) => [
      at,
      grown === null || !(count[i][1] > 0) ? null : (grown / count[i][1]) * scale,
    ]);
  }

  /** How much a figure grew in each step: a second, or the whole step. Where the server restarted there is a hole. */
  growth(span, field, perSecond = true) {
    const samples = this.#spans[span];
    return samples.slice(1).map((sample, i) => {
      const grown = this.value(sample, field) - this.value(samples[i], field);
      const seconds = (sample[0] - samples[i][0]) / 1000;
      return [sample[0], grown < 0 || seconds <= 0 ? null : perSecond ? grown / seconds : grown];
    });
  }

  rate(field) {
    return this.growth("minute", field).at(-1)?.[1] ?? null;
  }

  #set(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  async #load() {
    const history = await ask("history");
    this.#fields = new Map(history.fields.map((name, i) => [name, i]));
    this.#spans = { minute: history.minute, hour: history.hour };
    this.#steps = { minute: history.minute_step_ms, hour: history.hour_step_ms };
    this.dispatchEvent(new Event("sample"));
  }

  #open() {
    const source = stream(
      "live",
      {},
      {
        open: () =>
          this.#load().then(
            () => this.#source === source && this.#set("live"),
            () => this.#onLoadError(source),
          ),
        sample: (event) => this.#take(JSON.parse(event.data)),
        error: () => this.#onError(),
      },
    );
    this.#source = source;
  }

  #take(sample) {
    const { minute, hour } = this.#spans;
    if (minute.length === 0 || sample[0] <= minute.at(-1)[0]) return;
    push(minute, sample, this.#sizes.minute);
    if (sample[0] - hour.at(-1)[0] >= this.#steps.hour - this.#steps.minute / 2)
      push(hour, sample, this.#sizes.hour);
    this.dispatchEvent(new Event("sample"));
  }

  #onError() {
    this.#set("lost");
    if (this.#source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    ask("summary").catch(() => {}); // a session that is over shows here
    setTimeout(() => this.#source?.readyState === EventSource.CLOSED && this.#open(), RETRY_MS);
  }

  /* The stream is there, but the samples before it are not: both are asked for anew. The page may have given its stream
     back meanwhile, because nobody sees it. */
  #onLoadError(source) {
    source.close();
    if (this.#source === source) this.#onError();
  }

  #onVisibility() {
    clearTimeout(this.#hidden);
    if (document.visibilityState === "hidden") {
      this.#hidden = setTimeout(() => {
        this.#source?.close();
        this.#source = null;
      }, HIDDEN_MS);
    } else if (this.#source === null) {
      this.#open();
    }
  }
}

function push(list, sample, size) {
  list.push(sample);
  if (list.length > size) list.shift();
}
