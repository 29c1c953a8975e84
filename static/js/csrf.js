// Every changing htmx request carries the page's CSRF token; the cookie itself is out of reach of scripts.
document.addEventListener("htmx:config:request", (event) => {
  const token = document.querySelector('meta[name="csrf-token"]')?.content;
  const request = event.detail?.ctx?.request;
  if (token && request && !["GET", "HEAD"].includes(request.method)) request.headers["X-CSRFToken"] = token;
});
