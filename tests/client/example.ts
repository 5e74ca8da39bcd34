// Asks, takes an offered question or sends the customer to people: the whole of a bot in TypeScript.
// The types in ./zhida come from /openapi.json:  npx openapi-typescript http://127.0.0.1:8080/openapi.json -o zhida.ts --default-non-nullable false --empty-objects-unknown
import createClient from "openapi-fetch";
import type { paths } from "./zhida";

const [address, key = "", session = "example"] = process.argv.slice(2);
const zhida = createClient<paths>({ baseUrl: address, headers: key ? { Authorization: `Bearer ${key}` } : {} });

for (const text of ["怎么申请退货", "2", "转人工"]) {
  const { data, error } = await zhida.POST("/v1/answer", { body: { text, session } });
  if (error) throw new Error(`${error.title}: ${error.detail}`);
  // While a person has the conversation, the message is theirs and there is no decision.
  if (!("decision" in data)) continue;
  const offered = data.suggestions?.map((one) => one.question).join(" / ");
  console.log(JSON.stringify({ text, decision: data.decision, entry: data.answer?.entry ?? null, offered }));
  if (data.decision === "answer") {
    await zhida.POST("/v1/feedback", { body: { trace_id: data.trace_id, solved: true } });
  }
}
