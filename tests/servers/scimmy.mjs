// Users in memory; schemas, messages and HTTP are the packages scimmy and scimmy-routers.
// node scimmy.mjs PORT

import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const users = new Map();

SCIMMY.Schemas.User.definition.extend(SCIMMY.Schemas.EnterpriseUser.definition);
SCIMMY.Resources.declare(SCIMMY.Resources.User)
  .ingress((resource, data) => {
    const id = resource.id ?? randomUUID();
    if (resource.id && !users.has(id)) throw new SCIMMY.Types.Error(404, null, "no such user");
    const { meta, ...kept } = JSON.parse(JSON.stringify(data));
    const taken = [...users.values()].some(
      (other) => other.id !== id && other.userName.toLowerCase() === kept.userName.toLowerCase(),
    );
    if (taken) throw new SCIMMY.Types.Error(409, "uniqueness", "userName is taken");
    users.set(id, { ...kept, id });
    return users.get(id);
  })
  .egress((resource) => {
    const all = [...users.values()];
    if (!resource.id) return resource.filter ? resource.filter.match(all) : all;
    if (!users.has(resource.id)) throw new SCIMMY.Types.Error(404, null, "no such user");
    return users.get(resource.id);
  })
  .degress((resource) => {
    if (!users.delete(resource.id)) throw new SCIMMY.Types.Error(404, null, "no such user");
  });

const handler = (request) => {
  if (request.header("authorization") !== "Bearer t") throw new Error("who is there?");
  return "client";
};
express().use("/", new SCIMMYRouters({ type: "bearer", handler })).listen(Number(process.argv[2]), "127.0.0.1");
