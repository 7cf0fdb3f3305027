// Which hosts are to be seen.

import { isTaking } from "./host-state.js";

/** What the user looks for: words that all are in a host's place, name or address, and whether only what is not up. */
export const filter = {
  words: [],
  onlyTroubled: false,

  /** Whether it leaves anything out. */
  get isOn() {
    return this.onlyTroubled || this.words.length > 0;
  },

  look(text) {
    this.words = text.toLowerCase().split(/\s+/).filter(Boolean);
  },

  /** Whether that host is to be seen. */
  lets(service, group, host) {
    if (this.onlyTroubled && isTaking(host)) return false;
    if (this.words.length === 0) return true;
    const text = `${service} ${group.name} ${host.name} ${host.address} ${host.addr ?? ""}`.toLowerCase();
    return this.words.every((word) => text.includes(word));
  },
};
