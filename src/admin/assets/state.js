// What all parts of the page know.

import { History } from "./history.js";

/** `who`: who is logged in; `snapshot`: what the balancer told last; `live`: the way to it. */
export const state = { who: null, snapshot: null, live: null, history: new History() };

/** Whether this user may change anything. Who may not sees no button that would. */
export function mayChange() {
  return state.who?.full === true;
}

/** The present view of a service; none when it is gone. */
export function serviceNamed(name) {
  return state.snapshot?.services.find((service) => service.name === name);
}

/** A name for an element that another one refers to. */
export function freshId(prefix) {
  freshId.last = (freshId.last ?? 0) + 1;
  return `${prefix}-${freshId.last}`;
}
