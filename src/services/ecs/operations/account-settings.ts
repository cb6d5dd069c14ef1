import type {
  ListAccountSettingsRequest,
  ListAccountSettingsResponse,
  PutAccountSettingRequest,
  PutAccountSettingResponse,
  Setting,
  SettingName,
} from "@aws-sdk/client-ecs";
import type { Operation, RequestContext } from "../../../contracts/service.ts";
import { formatArn } from "../../../core/arn.ts";
import { notBuilt } from "../errors.ts";
import { pageOf } from "../paging.ts";

/** What holds here, always. */
const SETTINGS: readonly { readonly name: SettingName; readonly value: string }[] = [
  { name: "containerInsights", value: "disabled" },
  { name: "containerInstanceLongArnFormat", value: "enabled" },
  { name: "defaultLogDriverMode", value: "non-blocking" },
  { name: "serviceLongArnFormat", value: "enabled" },
  { name: "taskLongArnFormat", value: "enabled" },
];

/** The settings that hold; none can be changed yet. */
export function listAccountSettings(): Operation<ListAccountSettingsRequest, ListAccountSettingsResponse> {
  return {
    name: "ListAccountSettings",
    members: {
      name: "used",
      value: "used",
      principalArn: { ignored: "the settings hold for all principals" },
      effectiveSettings: "used",
      nextToken: "used",
      maxResults: "used",
    },
    async handle(input, context) {
      // Without effectiveSettings AWS lists only what somebody has set.
      const named = input.effectiveSettings === true ? SETTINGS : [];
      const shown = named.filter(
        (each) => (input.name === undefined || each.name === input.name) && (input.value === undefined || each.value === input.value),
      );
      const page = pageOf(shown, input, { idOf: (each) => each.name, defaultSize: 10 });
      return {
        settings: page.items.map((each) => settingView(context, each)),
        ...(page.nextToken === undefined ? {} : { nextToken: page.nextToken }),
      };
    },
  };
}

/** Accepts a value that holds already. @throws ClientException for any other. */
export function putAccountSetting(): Operation<PutAccountSettingRequest, PutAccountSettingResponse> {
  return {
    name: "PutAccountSetting",
    members: { name: "used", value: "used", principalArn: { ignored: "the settings hold for all principals" } },
    async handle(input, context) {
      const held = SETTINGS.find((each) => each.name === input.name);
      if (held === undefined || held.value !== input.value) {
        throw notBuilt(
          `${input.name}=${input.value}`,
          held === undefined ? "this account setting is not built yet." : `only ${held.value} is built.`,
        );
      }
      return { setting: settingView(context, held) };
    },
  };
}

function settingView(context: RequestContext, setting: { readonly name: SettingName; readonly value: string }): Setting {
  const principalArn = formatArn({ service: "iam", region: "", account: context.account, resource: "root" });
  return { ...setting, principalArn, type: "user" };
}
