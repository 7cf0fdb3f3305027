// The menu of a host, in its row and on its page.

import { blacklistHost, editHost, readmitHost, removeHost, retryHost, setState } from "./host-actions.js";
import { menuButton } from "./menu.js";

/** A button with the menu; `placeNow` tells the host's place as it is when it opens. */
export function hostMenu(placeNow, label = "Actions for this host") {
  return menuButton(label, () => itemsOf(placeNow()));
}

/** The address of a host's page. */
export function hostLink({ service, group, host }) {
  return `#host?${new URLSearchParams({ service, group, host: host.name, addr: host.addr ?? "" })}`;
}

function itemsOf(place) {
  const { host } = place;
  const items = [{ text: "Edit weight, max, name…", act: () => editHost(place) }];
  if (host.admin !== "up") items.push({ text: "Put back into service", act: () => setState(place, "up") });
  if (host.admin !== "drain") items.push({ text: "Drain: no new clients", act: () => setState(place, "drain") });
  if (host.admin !== "down") items.push({ text: "Take out of service", act: () => setState(place, "down") });
  if (host.status === "down") items.push({ text: "Retry now", act: () => retryHost(place) });
  if (host.blacklisted_ms === null) items.push({ text: "Keep out for a time…", act: () => blacklistHost(place) });
  else items.push({ text: "Let in again", act: () => readmitHost(place) });
  const query = new URLSearchParams({ service: place.service, host: `${place.group}/${host.name}` });
  items.push({ text: "Show its sessions", act: () => location.assign(`#sessions?${query}`) });
  items.push(null, { text: "Remove host…", danger: true, act: () => removeHost(place) });
  return items;
}
