// What can be done with services, their listeners and their groups.

import { change, path } from "./api.js";
import { ask } from "./dialog.js";
import { setting, plural } from "./format.js";
import { changed, given } from "./host-actions.js";

/** Every scheduler and what it does. */
const SCHEDULERS = [
  ["roundrobin", "one after the other, in the order of the list"],
  ["leastconns", "fewest open connections; equal: the lowest address"],
  ["leastconnsrr", "fewest open connections; equal: idle for longest"],
  ["weighted", "one after the other, in proportion to weight"],
  ["weightlc", "fewest open connections for its weight"],
  ["p2c", "the better one of two random hosts"],
  ["maglev", "by the client's address, the same on every director"],
  ["random", "any host"],
  ["weightr", "random in proportion to weight"],
].map(([value, hint]) => ({ value, text: value, hint }));

/** How clients find their host again. */
const STICKY = {
  name: "sticky",
  label: "Clients that come back",
  type: "choice",
  options: [
    ["off", "go where the scheduler sends them"],
    ["table", "go to the host that a table remembers"],
    ["hash", "go where their address sends them, the same on every director; the scheduler has no say"],
  ].map(([value, hint]) => ({ value, text: value, hint })),
};

const LISTEN_HINT = "127.0.0.1:8080, [::1]:8080, or *:8080 for every IPv4 interface";
const TIME = "A number with ms, s, m or h.";
const TIMES = [
  { name: "connect-timeout", label: "Connect timeout", hint: `How long a client may wait for a host. ${TIME}` },
  { name: "idle-timeout", label: "Idle timeout", hint: "How long a connection may be without traffic." },
  { name: "fin-timeout", label: "Fin timeout", hint: "The same after one side has ended it." },
  { name: "max-connections", label: "Most open connections", type: "number", hint: "Empty: no limit of its own." },
];

/** Adds a service with its first listener. */
export function addService() {
  return ask({
    title: "Add a service",
    text: ["It listens once one of its groups has a host."],
    fields: [
      { name: "name", label: "Name", required: true },
      { name: "listen", label: "Listens on", required: true, hint: LISTEN_HINT },
      ...TIMES.map((field) => ({ ...field, more: { placeholder: "as usual" } })),
    ],
    label: "Add service",
    submit: (values) => change("POST", path("services"), given(values)),
  });
}

/** Changes the name, the timeouts and the limit of a service. */
export function editService(service) {
  const before = {
    name: service.name,
    "connect-timeout": setting(service.connect_timeout_ms),
    "idle-timeout": setting(service.idle_timeout_ms),
    "fin-timeout": setting(service.fin_timeout_ms),
    "max-connections": service.max_connections === null ? "" : String(service.max_connections),
  };
  return ask({
    title: `Edit service ${service.name}`,
    fields: [
      { name: "name", label: "Name", required: true, value: before.name },
      ...TIMES.map((field) => ({ ...field, value: before[field.name] })),
    ],
    label: "Save changes",
    submit: (values) => changed("PATCH", path("services", service.name), before, values),
  });
}

/** Takes a service away. */
export function removeService(service) {
  return ask({
    title: `Remove service ${service.name}?`,
    text: [
      `It stops listening on ${service.listeners.map(({ address }) => address).join(", ")}, with its ${plural(service.groups.length, "group")}.`,
      service.open > 0
        ? `Its ${plural(service.open, "open connection")} may go on to the end.`
        : "It has no open connections.",
    ],
    label: "Remove service",
    danger: true,
    submit: () => change("DELETE", path("services", service.name)),
  });
}

/** Adds a listener to a service. */
export function addListener(service) {
  return ask({
    title: `Add a listener to ${service.name}`,
    fields: [{ name: "ip", label: "Listens on", required: true, hint: LISTEN_HINT }],
    label: "Add listener",
    submit: (values) => change("POST", path("services", service.name, "listeners"), values),
  });
}

/** Closes a listener. */
export function removeListener(service, listener) {
  return ask({
    title: `Close listener ${listener.address}?`,
    text: [`${service.name} takes no new clients there. Connections that came through it go on.`],
    label: "Close listener",
    danger: true,
    submit: () => change("DELETE", path("services", service.name, "listeners", listener.address)),
  });
}

/** Adds a group to a service. */
export function addGroup(service) {
  return ask({
    title: `Add a group to ${service.name}`,
    text: ["It serves once it has a host and is enabled."],
    fields: [
      { name: "name", label: "Name", required: true },
      { name: "scheduler", label: "Scheduler", type: "choice", options: SCHEDULERS, value: "roundrobin" },
      { ...STICKY, value: "off" },
    ],
    label: "Add group",
    submit: (values) => change("POST", path("services", service.name, "groups"), values),
  });
}

/** Changes the scheduler, the stickiness and the name of a group. */
export function editGroup(service, group) {
  const before = { scheduler: group.scheduler, sticky: group.sticky, name: group.name };
  return ask({
    title: `Edit group ${service.name}/${group.name}`,
    fields: [
      { name: "scheduler", label: "Scheduler", type: "choice", options: SCHEDULERS, value: before.scheduler },
      { ...STICKY, value: before.sticky },
      { name: "name", label: "Name", required: true, value: before.name },
    ],
    label: "Save changes",
    submit: (values) => changed("PATCH", path("services", service.name, "groups", group.name), before, values),
  });
}

/** Lets a group serve in the place of the one that does. */
export function enableGroup(service, group) {
  const instead = service.enabled === null ? "" : ` in the place of ${service.enabled}`;
  return ask({
    title: `Let ${group.name} serve ${service.name}?`,
    text: [`New clients go to its ${plural(group.hosts.length, "host")}${instead}. Connections to other hosts go on.`],
    label: "Enable group",
    danger: service.enabled !== null,
    submit: () => change("POST", `${path("services", service.name, "groups", group.name)}/enable`),
  });
}

/** Takes a group away. */
export function removeGroup(service, group) {
  return ask({
    title: `Remove group ${group.name}?`,
    text: [`${service.name} loses it with its ${plural(group.hosts.length, "host")}. Connections to them go on.`],
    label: "Remove group",
    danger: true,
    submit: () => change("DELETE", path("services", service.name, "groups", group.name)),
  });
}
