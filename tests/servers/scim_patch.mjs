// Users in memory behind HTTP; what a PatchOp does to one is the package scim-patch's to say, and whom a
// filter names that of the package scim2-parse-filter.
// node scim_patch.mjs PORT

import { createServer } from "node:http";
import { randomUUID } from "node:crypto";
import { patchBodyValidation, scimPatch } from "scim-patch";
import { filter, parse } from "scim2-parse-filter";

const users = new Map();
let version = 0;

class Refusal extends Error {
  constructor(status, detail, scimType) {
    super(detail);
    Object.assign(this, { status, scimType });
  }
}

function stamped(user) {
  version += 1;
  const meta = { resourceType: "User", lastModified: new Date().toISOString(), version: `W/"${version}"` };
  return { ...user, meta };
}

function checked(user) {
  const name = user.userName?.toLowerCase();
  if (!name) throw new Refusal(400, "userName is required", "invalidValue");
  for (const other of users.values()) {
    if (other.id !== user.id && other.userName.toLowerCase() === name) {
      throw new Refusal(409, "userName is taken", "uniqueness");
    }
  }
  return user;
}

function page(url) {
  const wanted = url.searchParams.get("filter");
  const all = [...users.values()].filter(wanted ? filter(parse(wanted)) : () => true);
  const start = Math.max(1, Number(url.searchParams.get("startIndex") ?? 1));
  const count = Number(url.searchParams.get("count") ?? 100);
  const Resources = all.slice(start - 1, start - 1 + count);
  const schemas = ["urn:ietf:params:scim:api:messages:2.0:ListResponse"];
  return { schemas, totalResults: all.length, startIndex: start, itemsPerPage: Resources.length, Resources };
}

function answer(request, body) {
  const url = new URL(request.url, "http://localhost");
  const [, users_, id] = url.pathname.split("/");
  if (request.headers.authorization !== "Bearer t") throw new Refusal(401, "who is there?");
  if (users_ !== "Users") throw new Refusal(404, "no such place");
  if (request.method === "GET" && !id) return [200, page(url)];
  if (request.method === "POST" && !id) {
    const user = stamped(checked({ ...body, id: randomUUID() }));
    users.set(user.id, user);
    return [201, user];
  }
  const held = users.get(decodeURIComponent(id ?? ""));
  if (!held) throw new Refusal(404, "no such user");
  switch (request.method) {
    case "GET":
      return [200, held];
    case "PATCH": {
      patchBodyValidation(body);
      const changed = scimPatch(structuredClone(held), body.Operations);
      users.set(held.id, stamped(checked(changed)));
      return [200, users.get(held.id)];
    }
    case "PUT":
      users.set(held.id, stamped(checked({ ...body, id: held.id })));
      return [200, users.get(held.id)];
    case "DELETE":
      users.delete(held.id);
      return [204];
    default:
      throw new Refusal(501, "not here");
  }
}

function refusal(error) {
  const status = error.status ?? 400;
  const schemas = ["urn:ietf:params:scim:api:messages:2.0:Error"];
  const scimType = error.scimType ?? error.scimCode;
  return [status, { schemas, status: String(status), scimType, detail: error.message }];
}

createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let result;
  try {
    const text = Buffer.concat(chunks).toString();
    result = answer(request, text ? JSON.parse(text) : undefined);
  } catch (error) {
    result = refusal(error);
  }
  const [status, body] = result;
  response.writeHead(status, { "content-type": "application/scim+json" });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}).listen(Number(process.argv[2]), "127.0.0.1");
