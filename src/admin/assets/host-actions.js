// What can be done with hosts.

import { change, path } from "./api.js";
import { ask } from "./dialog.js";
import { perform } from "./notice.js";
import { serviceNamed } from "./state.js";
import { isTaking } from "./host-state.js";

function hostPath({ service, group, host }) {
  return path("services", service, "groups", group, "hosts", host.name);
}

const WEIGHT = { name: "weight", label: "Weight", type: "number", hint: "Its share, 0 to 1000000. 0: no new clients." };
const MAX = { name: "max", label: "Most open connections", type: "number", hint: "Empty: no limit." };

/** Adds a host to a group. */
export function addHost(service, group) {
  return ask({
    title: `Add a host to ${service}/${group}`,
    fields: [
      { name: "ip", label: "Address", required: true, hint: "10.0.0.1:80, [2001:db8::1]:80 or name.example:80" },
      { name: "name", label: "Name", hint: "Empty: host.N." },
      { ...WEIGHT, value: "1" },
      MAX,
    ],
    label: "Add host",
    submit: (values) => change("POST", path("services", service, "groups", group, "hosts"), given(values)),
  });
}

/** Changes weight, max, name and address of a host. */
export function editHost(place, focus) {
  const { service, group, host } = place;
  const before = {
    weight: String(host.weight),
    max: host.max === null ? "" : String(host.max),
    name: host.name,
    ip: host.address,
  };
  return ask({
    title: `Edit ${service}/${group}/${host.name}`,
    fields: [
      { ...WEIGHT, value: before.weight },
      { ...MAX, value: before.max },
      { name: "name", label: "Name", value: before.name, required: true },
      {
        name: "ip",
        label: "Address",
        value: before.ip,
        required: true,
        hint: "With another address it is another host, with counters of its own.",
      },
    ],
    label: "Save changes",
    focus,
    submit: (values) => changed("PATCH", hostPath(place), before, values),
  });
}

/** Sets what is wanted of a host: `up`, `drain` or `down`. Asks first when nobody would be left to take clients. */
export async function setState(place, state) {
  const set = () => change("PATCH", hostPath(place), { state });
  if (state === "up" || !isLastTaking(place)) return perform(set);
  const { service, group, host } = place;
  return ask({
    title: `Stop new clients to ${host.name}?`,
    text: [
      `It is the last host of ${service}/${group} that takes clients. Without it, ${service} turns new clients away.`,
    ],
    label: state === "drain" ? "Drain all the same" : "Take out of service all the same",
    danger: true,
    submit: set,
  });
}

/** Takes a failed host back without waiting for its next probe. */
export function retryHost(place) {
  return perform(() => change("POST", `${hostPath(place)}/retry`));
}

/** Gives a host no new clients for a time, which ends by itself. */
export function blacklistHost(place) {
  const { service, group, host } = place;
  const last = `It is the last host of ${service}/${group} that takes clients.`;
  return ask({
    title: `Keep new clients from ${host.name}?`,
    text: ["Its open connections go on. It takes clients again when the time is over.", ...(isLastTaking(place) ? [last] : [])],
    fields: [{ name: "time", label: "For how long", value: "30s", required: true, hint: "A number with ms, s, m or h." }],
    label: "Keep out",
    submit: (values) => change("POST", `${hostPath(place)}/blacklist`, values),
  });
}

/** Ends the time for which a host is kept out. */
export function readmitHost(place) {
  return perform(() => change("POST", `${hostPath(place)}/blacklist`, { time: "0" }));
}

/** Takes a host away. */
export function removeHost(place) {
  const { service, group, host } = place;
  const others = `Its ${host.open === 1 ? "open connection goes" : `${host.open} open connections go`} on to their end.`;
  return ask({
    title: `Remove host ${host.name}?`,
    text: [
      `${host.address} is taken out of ${service}/${group}. ${host.open > 0 ? others : "It has no open connections."}`,
    ],
    label: "Remove host",
    danger: true,
    submit: () => change("DELETE", hostPath(place)),
  });
}

function isLastTaking({ service, group, host }) {
  const inGroup = serviceNamed(service)?.groups.find(({ name }) => name === group);
  if (!inGroup?.enabled || !isTaking(host)) return false;
  return !inGroup.hosts.some((other) => other.name !== host.name && isTaking(other));
}

/** Those that are not empty. */
export function given(values) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ""));
}

/** Sends what differs from before; an empty text takes an attribute away. */
export async function changed(method, target, before, values) {
  const differing = Object.entries(values).filter(([name, value]) => value !== before[name]);
  if (differing.length === 0) return "Nothing to change.";
  return change(method, target, Object.fromEntries(differing));
}
