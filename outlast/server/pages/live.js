// Keeps a run's page as the run is: asks for the changed part anew, and shows texts while models write them.
"use strict";
const now = document.getElementById("now");
const writing = document.getElementById("writing");
if (now) {
  const run = encodeURIComponent(now.dataset.run);
  const source = new EventSource(`/runs/${run}/events`);
  let asking = false;
  let again = false;

  const refresh = async () => {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    try {
      const answer = await fetch(`/run/now?id=${run}`);
      // What somebody types into a gate's form must not be taken from them.
      if (answer.ok && !answer.redirected && !now.contains(document.activeElement)) now.innerHTML = await answer.text();
    } catch {
      // The server restarts; the stream reconnects by itself, and says anew how the run stands.
    }
    asking = false;
    if (again) {
      again = false;
      await refresh();
    }
  };

  const line = (call) => {
    const found = [...writing.children].find((each) => each.dataset.call === call.call);
    if (found) return found;
    const made = document.createElement("div");
    made.className = "said theirs";
    made.dataset.call = call.call;
    made.dataset.attempt = call.attempt;
    const who = document.createElement("span");
    who.className = "dim";
    who.textContent = [call.agent, call.step].filter(Boolean).join(" · ");
    made.append(who, document.createElement("p"));
    writing.append(made);
    return made;
  };

  source.addEventListener("text", (event) => {
    const piece = JSON.parse(event.data);
    const shown = line(piece);
    const text = shown.lastChild;
    if (Number(shown.dataset.attempt) !== piece.attempt) text.textContent = "";
    shown.dataset.attempt = piece.attempt;
    const known = text.textContent.length;
    text.textContent += piece.start <= known ? piece.text.slice(known - piece.start) : ` … ${piece.text}`;
  });
  source.addEventListener("call_ended", async (event) => {
    const ended = JSON.parse(event.data);
    const shown = [...writing.children].find((each) => each.dataset.call === ended.call);
    if (!shown) return;
    if (ended.text) shown.lastChild.textContent = ended.text;
    await refresh();
    shown.remove();
  });
  for (const kind of ["status", "gate"]) source.addEventListener(kind, refresh);
  source.addEventListener("run_ended", () => {
    source.close();
    writing.replaceChildren();
    void refresh();
  });
}
