// Sends messages to an agent with AG-UI's own client, as a chat interface does, one after the other on one thread:
// `node talk.js URL TOKEN THREAD MESSAGE…` prints one JSON line for each event, and at the end one with the messages that it has.
import { HttpAgent } from "@ag-ui/client";

const [url, token, threadId, ...said] = process.argv.slice(2);
const agent = new HttpAgent({ url, threadId, headers: { Authorization: `Bearer ${token}` } });
const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

for (const [number, content] of said.entries()) {
  agent.addMessage({ id: `said-${number}`, role: "user", content });
  await agent.runAgent({ runId: `run-${number}` }, { onEvent: ({ event }) => print(event) });
}
print({ messages: agent.messages, state: agent.state });
