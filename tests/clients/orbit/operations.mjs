// Sends operations to the demo at the base URL, and prints for each request what was sent and what came back.

import { Orbit } from "@orbit/core";
import { ClientError, JSONAPISerializers } from "@orbit/jsonapi";
import { RecordSchema } from "@orbit/records";

import { OperationSerializer, createSource, perform } from "./source.mjs";

// <schema>
const schema = new RecordSchema({
  models: {
    musicTracks: {
      attributes: { title: { type: "string" }, genre: { type: "string" }, releasedAt: { type: "datetime" } },
      relationships: {
        ownedBy: { kind: "hasOne", type: "recordCompanies" },
        lyric: { kind: "hasOne", type: "lyrics" },
        performers: { kind: "hasMany", type: "performers" },
      },
    },
    textLanguages: { attributes: { isoCode: { type: "string" } } },
    recordCompanies: { attributes: { name: { type: "string" } } },
    lyrics: { relationships: { language: { kind: "hasOne", type: "textLanguages" } } },
    performers: { attributes: { artistName: { type: "string" } } },
  },
});
// </schema>

const host = process.argv[2];
const source = createSource(schema, host);
const mended = createSource(schema, host, { [JSONAPISerializers.ResourceAtomicOperation]: OperationSerializer });

const company = { type: "recordCompanies", id: "1" };
const lyric = { type: "lyrics", id: "1" };
const ada = { type: "performers", id: "1" };
const charles = { type: "performers", id: "2" };
const [passing, unknown] = [1, 2].map(() => ({ type: "musicTracks", id: schema.generateId("musicTracks") }));

// <operations>
const track = { type: "musicTracks", id: schema.generateId("musicTracks") };
const language = { type: "textLanguages", id: schema.generateId("textLanguages") };
const t = source.transformBuilder;

const operations = [
  t.addRecord({ ...language, attributes: { isoCode: "fr" } }),
  t.addRecord({
    ...track,
    attributes: { title: "Pascaline", genre: "Mechanical", releasedAt: new Date(Date.UTC(1645, 0, 1)) },
    relationships: { ownedBy: { data: company }, performers: { data: [ada] } },
  }),
  t.replaceRelatedRecord(lyric, "language", language),
];
// </operations>

const exchanges = {};

async function request(name, terms, by = source) {
  const exchange = (exchanges[name] = {});
  Orbit.fetch = async (url, settings) => {
    const response = await fetch(url, settings);
    const body = await response.clone().text();
    const sent = { headers: settings.headers, document: JSON.parse(settings.body) };
    Object.assign(exchange, { sent, status: response.status, document: body ? JSON.parse(body) : null });
    return response;
  };
  try {
    exchange.records = await perform(by, terms);
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    exchange.errors = error.data.errors;
  }
}

await request("add", operations);
await request("update", [
  t.addRecord({ ...passing, attributes: { title: "Passing" } }),
  t.updateRecord({ ...track, attributes: { title: "La Pascaline" } }),
  t.replaceAttribute(language, "isoCode", "fr-FR"),
]);
await request("clear to-one", [
  t.replaceRelatedRecord(track, "ownedBy", null),
  t.updateRecord(lyric),
  t.updateRecord(track),
]);
await request("add to to-many", [t.addToRelatedRecords(track, "performers", charles)]);
await request("remove from to-many", [t.removeFromRelatedRecords(track, "performers", ada)]);
await request("replace to-many", [t.replaceRelatedRecords(track, "performers", [])]);
await request(
  "add to to-many, mended",
  [ada, charles].map((performer) => t.addToRelatedRecords(track, "performers", performer)),
  mended,
);
await request("remove from to-many, mended", [t.removeFromRelatedRecords(track, "performers", ada)], mended);
await request("an id that is taken", [
  t.addRecord({ ...unknown, attributes: { title: "Undone" } }),
  t.addRecord({ ...track, attributes: { title: "Twice" } }),
]);
await request("an id that the server makes", [
  t.addRecord({ type: "recordCompanies", attributes: { name: "Abacus" } }),
]);
await request("an unknown record", [t.removeRecord(passing), t.removeRecord(unknown)]);
await request("remove", [t.removeRecord(passing), t.removeRecord(language)]);

console.log(JSON.stringify({ track, passing, unknown, language, exchanges }));
