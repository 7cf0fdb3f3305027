// What the balancer counts, as rates and as series of the last minutes. The balancer tells totals; how fast they grow is
// found here, by its own clock, so that a late answer does not look like a burst.

/** How many samples a series keeps: a little more than the five minutes that charts show, at one a second. */
export const SAMPLES = 320;
/** So many samples missed, and the line of a chart is broken. */
const MISSED_MAX = 5;

/** A ring of values, one a sample; `NaN` where there was none. */
class Series {
  #values = new Float32Array(SAMPLES).fill(NaN);

  set(sample, value) {
    this.#values[sample % SAMPLES] = value ?? NaN;
  }

  at(sample) {
    return this.#values[sample % SAMPLES];
  }
}

/** How fast totals of one thing grow, and the series that are kept of it. */
class Track {
  /** By name, a second; `null` while it is not known. */
  rates = {};
  #totals = null;
  #series = {};

  constructor(names) {
    for (const name of names) this.#series[name] = new Series();
  }

  /** Takes totals by name; `seconds` since the last ones, `null` when they cannot be compared. */
  grow(totals, seconds) {
    for (const name in totals) {
      const grown = this.#totals === null ? null : totals[name] - this.#totals[name];
      // A total that shrank was begun anew.
      this.rates[name] = seconds === null || grown === null || grown < 0 ? null : grown / seconds;
    }
    this.#totals = totals;
  }

  keep(sample, values) {
    for (const name in this.#series) this.#series[name].set(sample, values[name]);
  }

  /** The value of a series, `NaN` where there is none. */
  at(name, sample) {
    return this.#series[name].at(sample);
  }
}

const SERVICE_SERIES = ["connections", "open", "up", "down"];
const HOST_SERIES = ["connections", "open", "up", "down", "latency"];

/** The series of all there is. */
export class History {
  /** Samples taken; the last one has this number less one. */
  count = 0;
  /** Time between two samples while nothing is wrong, in milliseconds. */
  pace = 1000;
  /** All services together. */
  whole = new Track(SERVICE_SERIES);
  #times = new Float64Array(SAMPLES);
  #pid = null;
  #uptime = 0;
  #services = new Map();
  #hosts = new Map();

  /** When a sample was taken, in milliseconds of `performance.now`. */
  time(sample) {
    return this.#times[sample % SAMPLES];
  }

  /** Whether something is missing between a sample and the next one that is there. */
  isBroken(sample, next) {
    return this.time(next) - this.time(sample) > MISSED_MAX * this.pace;
  }

  /** The oldest sample that is kept. */
  get oldest() {
    return Math.max(0, this.count - SAMPLES);
  }

  service(name) {
    return this.#services.get(name);
  }

  host(key) {
    return this.#hosts.get(key);
  }

  /** Takes what the balancer tells now. */
  take(snapshot, now) {
    const elapsed = snapshot.uptime_ms - this.#uptime;
    const isSame = snapshot.pid === this.#pid && elapsed >= 0;
    // The same moment told twice: polling and the stream may overlap.
    if (isSame && elapsed === 0) return;
    [this.#pid, this.#uptime] = [snapshot.pid, snapshot.uptime_ms];
    const turn = { sample: this.count, seconds: isSame ? elapsed / 1000 : null, services: new Set(), hosts: new Set() };
    this.count += 1;
    this.#times[turn.sample % SAMPLES] = now;
    const whole = { connections: null, open: 0, up: null, down: null };
    for (const service of snapshot.services) {
      const { rates } = this.#takeService(turn, service);
      addTo(whole, { ...rates, open: service.open });
    }
    Object.assign(this.whole.rates, whole);
    this.whole.keep(turn.sample, whole);
    forget(this.#services, turn.services);
    forget(this.#hosts, turn.hosts);
  }

  #takeService(turn, service) {
    turn.services.add(service.name);
    const track = trackOf(this.#services, service.name, SERVICE_SERIES);
    track.grow({ connections: service.accepted, retries: service.retries }, turn.seconds);
    const moved = { up: null, down: null };
    for (const group of service.groups) {
      for (const host of group.hosts) addTo(moved, this.#takeHost(turn, hostKey(service, group, host), host).rates);
    }
    Object.assign(track.rates, moved);
    track.keep(turn.sample, { ...track.rates, open: service.open });
    return track;
  }

  #takeHost(turn, key, host) {
    turn.hosts.add(key);
    const track = trackOf(this.#hosts, key, HOST_SERIES);
    const { total: connections, failed, bytes_up: up, bytes_down: down } = host;
    let connects = 0;
    for (const times of host.connects.buckets) connects += times;
    track.grow({ connections, failed, up, down, connects, micros: host.connects.sum_us }, turn.seconds);
    const latency = track.rates.connects > 0 ? track.rates.micros / track.rates.connects : null;
    track.rates.latency = latency;
    track.keep(turn.sample, { ...track.rates, open: host.open });
    return track;
  }
}

/** What tells a host from all others: a name may have several addresses. */
export function hostKey(service, group, host) {
  // No name has a line feed in it.
  return `${service.name}\n${group.name}\n${host.name}\n${host.addr}`;
}

/** Adds what is known: a sum is unknown only while all its parts are. */
function addTo(sums, parts) {
  for (const name in sums) {
    if (parts[name] !== null && parts[name] !== undefined) sums[name] = (sums[name] ?? 0) + parts[name];
  }
}

function trackOf(tracks, key, names) {
  const found = tracks.get(key) ?? new Track(names);
  tracks.set(key, found);
  return found;
}

function forget(tracks, seen) {
  for (const key of tracks.keys()) if (!seen.has(key)) tracks.delete(key);
}
