// Says that the last attempt failed.

if (new URLSearchParams(location.search).has("failed")) {
  document.getElementById("failed").hidden = false;
  history.replaceState(null, "", location.pathname + location.hash);
}
