// The calendar. Everything works without this: visits are links, and each has "Move" in the list. Here a visit is dragged,
// or picked up with M and carried by arrows, to another time or column; that only opens the page which shows what the
// move does. The line of the present walks on, and an update waits while a visit is in the hand.
const SNAP = 15; // minutes
const FAR = 5; // pixels before a press becomes a drag
const LONG = 450; // milliseconds before a touch does
const root = document.querySelector("[data-calendar]");
const said = root?.querySelector("[data-said]");
const words = JSON.parse(document.getElementById("calendar-words")?.textContent ?? "{}");
const body = () => document.getElementById("calendar-body");
const keys = () => JSON.parse(body()?.dataset.keys || "{}");

let held = null; // {link, name, minutes, grab, ghost, spot, pointer}
let pressed = null;
let silence;

const say = (text) => {
  said.textContent = text;
  clearTimeout(silence);
  if (text && !held) silence = setTimeout(() => (said.textContent = ""), 6000);
};
const fill = (text, values) => text.replace(/%\((\w+)\)s/g, (_all, name) => values[name] ?? "");

// ---------------------------------------------------------------- time on the grid

const grid = () => document.querySelector("[data-grid]");
const two = (number) => String(number).padStart(2, "0");
const clockOf = (instant) =>
  new Intl.DateTimeFormat("en-GB", { timeZone: root.dataset.zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
    .format(instant);

// The wall time at so many minutes below the top; null where the clocks show it for the second time.
const timeAt = (minute) => {
  const { scale, begins } = grid().dataset;
  if (scale === "wall") {
    const whole = Number(begins.slice(0, 2)) * 60 + minute;
    return `${two(Math.floor(whole / 60))}:${two(whole % 60)}`;
  }
  const at = Date.parse(begins) + minute * 60000;
  const text = clockOf(at);
  return clockOf(at - 3600000) === text || clockOf(at - 1800000) === text ? null : text;
};
const minutesOf = (item) => {
  const read = (letter) => Number([...item.classList].find((name) => new RegExp(`^${letter}\\d+$`).test(name))?.slice(1) ?? 0);
  return { top: read("t") * 60 + read("u"), length: read("l") * 60 + read("k") };
};
const dayWords = (day) =>
  new Intl.DateTimeFormat(document.documentElement.lang.replace(/^en$/, "en-GB"), { weekday: "short", day: "numeric", month: "short" })
    .format(new Date(`${day}T12:00:00`));

// ---------------------------------------------------------------- where a visit would go

const targets = () => [...document.querySelectorAll("[data-lane], [data-cell]")];
const lineOf = (target) => {
  const row = target.closest("[data-practitioner], [data-room]");
  return row ? { practitioner: row.dataset.practitioner, room: row.dataset.room } : {};
};
const nameOf = (target) => {
  const heading = target.closest("section, tr")?.querySelector("h2, th");
  return heading?.firstElementChild?.textContent.trim() ?? "";
};

const describe = (spot) => {
  const parts = [dayWords(spot.target.dataset.day)];
  if (spot.time) parts.push(spot.time);
  if (lineOf(spot.target).practitioner ?? lineOf(spot.target).room) parts.push(nameOf(spot.target));
  return parts.join(", ");
};

const show = (target, minute) => {
  const isLane = target.hasAttribute("data-lane");
  document.querySelectorAll(".is-target").forEach((other) => other.classList.remove("is-target"));
  let time = held.time;
  if (isLane) {
    const most = Number(grid().dataset.minutes) - held.minutes;
    minute = Math.max(0, Math.min(most, Math.round(minute / SNAP) * SNAP));
    time = timeAt(minute);
    held.ghost ??= Object.assign(document.createElement("div"), { className: "cg-ghost" });
    held.ghost.textContent = `${time ?? "⚠"} ${held.name}`;
    held.ghost.style.top = `${(minute / Number(grid().dataset.minutes)) * 100}%`;
    held.ghost.style.height = `${(held.minutes / Number(grid().dataset.minutes)) * 100}%`;
    if (held.ghost.parentElement !== target) target.append(held.ghost);
  } else {
    target.classList.add("is-target");
  }
  const spot = { target, minute, time };
  const moved = !held.spot || held.spot.target !== target || held.spot.minute !== minute;
  held.spot = spot;
  if (moved) say(time === null ? words.repeated : fill(words.at, { name: held.name, where: describe(spot) }));
};

const pick = (link, { pointer = null, grab = 0 } = {}) => {
  const item = link.closest(".cv") ?? link;
  const { top, length } = minutesOf(item);
  const place = link.closest("[data-lane], [data-cell]");
  held = {
    link,
    name: link.dataset.visit || link.querySelector("span")?.textContent.trim() || "",
    minutes: length,
    grab,
    pointer,
    time: link.querySelector("b")?.textContent.trim().slice(0, 5),
    from: { target: place, minute: top },
    spot: null,
  };
  link.classList.add("is-held");
  document.body.classList.toggle("is-dragging", pointer !== null);
  if (pointer === null) {
    say(fill(words.picked, { name: held.name }));
    held.spot = { target: place, minute: top, time: held.time };
  }
};

const letGo = () => {
  held?.ghost?.remove();
  held?.link.classList.remove("is-held");
  document.querySelectorAll(".is-target").forEach((other) => other.classList.remove("is-target"));
  document.body.classList.remove("is-dragging");
  held = null;
  pressed = null;
};

const drop = () => {
  const { link, spot, from, pointer } = held;
  const same = !spot || (spot.target === from.target && (spot.minute === undefined || Math.abs(spot.minute - from.minute) < (pointer === null ? 1 : SNAP / 2)));
  letGo();
  if (same) return say(words.left);
  if (spot.time === null) return say(words.repeated);
  const all = keys();
  const line = lineOf(spot.target);
  const query = new URLSearchParams({
    day: spot.target.dataset.day,
    time: spot.time,
    practitioner: all.practitioner[line.practitioner ?? link.dataset.p],
    room: all.room[line.room ?? link.dataset.r],
  });
  say(words.opening);
  location.assign(`${link.pathname}move/?${query}`);
};

// ---------------------------------------------------------------- by pointer

const begin = (event) => {
  pick(pressed.link, { pointer: event.pointerId, grab: pressed.grab });
  try {
    pressed.link.setPointerCapture(event.pointerId);
  } catch {
    letGo(); // the pointer is gone already
  }
};
const follow = (event) => {
  const under = document.elementsFromPoint(event.clientX, event.clientY);
  const target = under.map((element) => element.closest?.("[data-lane], [data-cell]")).find(Boolean);
  const scroller = document.querySelector("[data-scroller]");
  const box = scroller.getBoundingClientRect();
  const edge = 36;
  if (event.clientX > box.right - edge) scroller.scrollLeft += 14;
  if (event.clientX < box.left + edge + 60) scroller.scrollLeft -= 14;
  if (event.clientY > box.bottom - edge) scroller.scrollTop += 14;
  if (event.clientY < box.top + edge + 40) scroller.scrollTop -= 14;
  if (!target) return;
  const lane = target.getBoundingClientRect();
  show(target, ((event.clientY - lane.top - held.grab) / lane.height) * Number(grid()?.dataset.minutes ?? 0));
};

if (root) {
  document.addEventListener("pointerdown", (event) => {
    const link = event.target.closest?.("[data-visit]");
    if (!link || !root.contains(link) || event.button !== 0 || held) return;
    const item = (link.closest(".cv") ?? link).getBoundingClientRect();
    pressed = { link, x: event.clientX, y: event.clientY, grab: event.clientY - item.top };
    if (event.pointerType === "touch" && link.dataset.p !== undefined) {
      pressed.long = setTimeout(() => pressed?.link === link && begin(event), LONG);
    }
  });
  document.addEventListener("pointermove", (event) => {
    if (held?.pointer === event.pointerId) return follow(event);
    if (!pressed) return;
    if (Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) < FAR) return;
    clearTimeout(pressed.long);
    if (event.pointerType === "touch") pressed = null; // it scrolls
    else if (pressed.link.dataset.p === undefined) {
      say(words.fixed);
      pressed = null;
    } else {
      begin(event);
      if (held) follow(event);
    }
  });
  document.addEventListener("pointerup", (event) => {
    clearTimeout(pressed?.long);
    if (held?.pointer !== event.pointerId) return void (pressed = null);
    // the click that follows would open the visit
    const stop = (click) => click.preventDefault();
    held.link.addEventListener("click", stop, { once: true, capture: true });
    const { link } = held;
    setTimeout(() => link.removeEventListener("click", stop, { capture: true }), 50);
    drop();
  });
  document.addEventListener("pointercancel", (event) => {
    clearTimeout(pressed?.long);
    if (held?.pointer === event.pointerId) letGo();
    pressed = null;
  });
  document.addEventListener("touchmove", (event) => held?.pointer !== null && held && event.preventDefault(), { passive: false });
  document.addEventListener("dragstart", (event) => event.target.closest?.("[data-visit]") && event.preventDefault());
  document.addEventListener("contextmenu", (event) => held && event.preventDefault());

  // -------------------------------------------------------------- by keyboard

  const step = (key) => {
    const all = targets();
    const { target, minute } = held.spot;
    if (target.hasAttribute("data-lane")) {
      const at = all.indexOf(target);
      if (key === "ArrowLeft" || key === "ArrowRight") {
        const next = all[at + (key === "ArrowRight" ? 1 : -1)];
        if (next) show(next, minute);
      } else {
        const by = key === "ArrowDown" ? SNAP : -SNAP;
        const from = minute % SNAP === 0 ? minute : key === "ArrowDown" ? Math.floor(minute / SNAP) * SNAP : Math.ceil(minute / SNAP) * SNAP;
        show(target, from + by);
      }
    } else {
      const row = target.parentElement;
      const column = [...row.children].indexOf(target);
      const other = key === "ArrowDown" ? row.nextElementSibling : key === "ArrowUp" ? row.previousElementSibling : row;
      const next = other?.children[column + (key === "ArrowRight" ? 1 : key === "ArrowLeft" ? -1 : 0)];
      if (next?.hasAttribute("data-cell")) show(next, undefined);
    }
    (held.ghost ?? held.spot.target).scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  document.addEventListener("keydown", (event) => {
    if (held) {
      if (event.key === "Escape") {
        event.preventDefault();
        letGo();
        say(words.left);
      } else if (held.pointer === null && event.key.startsWith("Arrow")) {
        event.preventDefault();
        step(event.key);
      } else if (held.pointer === null && event.key === "Enter") {
        event.preventDefault();
        drop();
      } else if (held.pointer === null && event.key === "Tab") {
        letGo();
        say(words.left);
      }
      return;
    }
    const link = event.target.closest?.("[data-visit]");
    if (document.documentElement.hasAttribute("data-keys-off")) return;
    if (link && event.key.toLowerCase() === "m" && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      if (link.dataset.p === undefined) say(words.fixed);
      else pick(link);
    }
  });

  // -------------------------------------------------------------- the present, and updates

  const walk = () => {
    const shown = document.querySelectorAll("[data-now]");
    if (!shown.length) return;
    const { scale, begins, minutes } = grid().dataset;
    const [hour, minute] = clockOf(Date.now()).split(":").map(Number);
    const at = scale === "wall" ? hour * 60 + minute - Number(begins.slice(0, 2)) * 60 : (Date.now() - Date.parse(begins)) / 60000;
    for (const line of shown) {
      line.hidden = at < 0 || at > Number(minutes);
      line.style.top = `${(at / Number(minutes)) * 100}%`;
      if (line.tagName === "B") line.textContent = `${two(hour)}:${two(minute)}`;
    }
  };
  setInterval(walk, 30000);

  // An update waits while a visit is in the hand or nobody looks.
  document.addEventListener("htmx:before:request", (event) => {
    if (event.target === body() && (held || pressed || document.hidden)) event.preventDefault();
  });
  // An error is no calendar: what is shown stays, and the next update asks again.
  document.addEventListener("htmx:before:response", (event) => {
    if (event.target === body() && event.detail?.ctx?.response?.status >= 400) event.preventDefault();
  });
  document.addEventListener("htmx:after:swap", walk);
  // What a person has opened stays open.
  document.addEventListener("htmx:before:morph:attr", (event) => {
    if (event.detail.attrName === "open" && body()?.contains(event.target)) event.preventDefault();
  });

  // It opens at now, with what has just been above; another day at its first visit, not at an empty morning. And a week
  // that is wider than the window opens at today.
  const scroller = document.querySelector("[data-scroller]");
  const present = document.querySelector(".cg-now") ?? document.querySelector(".cv");
  const today = document.querySelector(".cg-today, .cw-today");
  if (scroller && !location.hash) {
    const box = scroller.getBoundingClientRect();
    if (present) scroller.scrollTop += present.getBoundingClientRect().top - box.top - box.height / 3;
    const side = scroller.querySelector(".cg-axis, .cw-0")?.getBoundingClientRect().width ?? 0;
    if (today && today.getBoundingClientRect().right > box.right) {
      scroller.scrollLeft += today.getBoundingClientRect().left - box.left - side;
    }
  }

  // A narrow window without a view of its own choosing shows the agenda, as a phone does.
  if (!new URLSearchParams(location.search).has("view") && root.dataset.view === "day" && matchMedia("(max-width: 640px)").matches) {
    const address = new URL(location.href);
    address.searchParams.set("view", "agenda");
    location.replace(address);
  }
}
