// Keeps a run's page as the run is: asks for the changed part anew, and shows texts while models write them.
"use strict";
const now = document.getElementById("now");
const writing = document.getElementById("writing");
const talk = document.getElementById("talk");

const atEnd = () => window.innerHeight + window.scrollY >= document.body.scrollHeight - 80;
const toEnd = (was) => {
  if (was && talk) window.scrollTo(0, document.body.scrollHeight);
};

const fields = () => [...now.querySelectorAll("input:not([type=hidden]), select, textarea")];
const named = (field) => `${field.form.elements.gate?.value ?? field.form.elements.question?.value} ${field.name}`;

let asking = false;
let again = false;
const refresh = async () => {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await fetch(`/run/now?id=${encodeURIComponent(now.dataset.run)}`);
    // What somebody types into a form must not be taken from them.
    if (answer.ok && !answer.redirected && !now.contains(document.activeElement)) {
      const end = atEnd();
      const made = await answer.text();
      const typed = new Map(fields().map((field) => [named(field), field.value]));
      now.innerHTML = made;
      for (const field of fields()) field.value = typed.get(named(field)) ?? field.value;
      toEnd(end);
    }
  } catch {
    // The server restarts; the stream reconnects by itself, and says anew how the run stands.
  }
  asking = false;
  if (again) {
    again = false;
    await refresh();
  }
};

const line = (call, kind) => {
  const found = [...writing.children].find((each) => each.dataset.call === call.call);
  if (found) return found;
  const made = document.createElement("div");
  made.className = kind;
  made.dataset.call = call.call;
  made.dataset.attempt = call.attempt;
  const who = document.createElement("span");
  who.className = "dim";
  who.textContent = [call.agent, talk ? "" : call.step].filter(Boolean).join(" · ");
  made.append(who, document.createElement("p"));
  const end = atEnd();
  writing.append(made);
  toEnd(end);
  return made;
};

if (now && now.dataset.open) {
  // What stands on the page already is not sent again: a run may have had thousands of events.
  const from = now.dataset.after ? `?after=${encodeURIComponent(now.dataset.after)}` : talk ? "" : "?live=true";
  const source = new EventSource(`/runs/${encodeURIComponent(now.dataset.run)}/events${from}`);
  source.addEventListener("text", (event) => {
    const piece = JSON.parse(event.data);
    const shown = line(piece, "said theirs");
    const text = shown.lastChild;
    if (Number(shown.dataset.attempt) !== piece.attempt) text.textContent = "";
    shown.dataset.attempt = piece.attempt;
    const known = text.textContent.length;
    const end = atEnd();
    text.textContent += piece.start <= known ? piece.text.slice(known - piece.start) : ` … ${piece.text}`;
    toEnd(end);
  });
  source.addEventListener("call_started", (event) => {
    const call = JSON.parse(event.data);
    if (talk && call.tool) line(call, "tool").lastChild.textContent = `${call.tool} ${JSON.stringify(call.input)}`;
  });
  source.addEventListener("answer", () => writing.querySelectorAll(".tool.ended").forEach((each) => each.remove()));
  source.addEventListener("call_ended", async (event) => {
    const ended = JSON.parse(event.data);
    const shown = [...writing.children].find((each) => each.dataset.call === ended.call);
    if (!shown) return;
    if (ended.tool) {
      shown.classList.add("ended");
      shown.lastChild.append(ended.state === "done" ? " ✓" : ` ✗ ${ended.error}`);
      return;
    }
    if (ended.text) shown.lastChild.textContent = ended.text;
    await refresh();
    shown.remove();
  });
  for (const kind of ["status", "gate", "message", "answer"]) source.addEventListener(kind, refresh);
  source.addEventListener("run_ended", () => {
    source.close();
    writing.replaceChildren();
    void refresh();
  });
}

// A message is sent without leaving the page, so that what is being written stays in sight; without scripts the form does it.
if (talk) {
  const text = talk.elements.text;
  const told = document.getElementById("told");
  const renewed = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const buttons = talk.querySelectorAll("button");
  let sending = false;
  // What is clicked while a message is on its way would be lost, so nothing can be.
  const busy = (is) => {
    sending = is;
    buttons.forEach((button) => { button.disabled = is; });
  };

  talk.addEventListener("submit", async (event) => {
    if (event.submitter && event.submitter.hasAttribute("formaction")) return;
    event.preventDefault();
    if (sending) return;
    const body = new URLSearchParams(new FormData(talk, event.submitter));
    const said = text.value;
    let taken = null;
    busy(true);
    try {
      const answer = await fetch("/say", { method: "POST", body, headers: { Accept: "application/json" } });
      if (answer.ok) {
        taken = await answer.json();
        if (text.value === said) text.value = "";
        talk.elements.key.value = renewed();
        told.textContent = taken.told;
      } else {
        told.textContent = await answer.text();
      }
    } catch {
      told.textContent = "The server does not answer. What you wrote is still here: send it again, it counts once.";
    }
    busy(false);
    if (taken === null) return;
    if (taken.id !== now.dataset.run) window.location.assign(`/run?id=${encodeURIComponent(taken.id)}`);
    await refresh();
    toEnd(true);
  });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || !window.matchMedia("(pointer: fine)").matches) return;
    event.preventDefault();
    talk.requestSubmit();
  });
  toEnd(true);
}
