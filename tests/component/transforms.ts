import * as grpc from "@grpc/grpc-js";
import { CallbacksClient } from "@pulumi/pulumi/proto/callback_grpc_pb";
import { CallbackInvokeRequest } from "@pulumi/pulumi/proto/callback_pb";
import * as messages from "@pulumi/pulumi/proto/resource_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { outputSignature, secretSignature, signature, unknownValue, wireOutput, wireSecret } from "./wire";

/** Runs the transforms of a registration as the engine does: resolved properties go out, properties and options come back. */
export async function answerTransforms(request: any): Promise<void> {
    for (const callback of request.getTransformsList()) {
        const { TransformRequest, TransformResourceOptions, TransformResponse } = messages as any;
        const options = new TransformResourceOptions();
        options.setDependsOnList(request.getDependenciesList());
        options.setIgnoreChangesList(request.getIgnorechangesList());
        options.setAdditionalSecretOutputsList(request.getAdditionalsecretoutputsList());
        const question = new TransformRequest();
        question.setType(request.getType());
        question.setName(request.getName());
        question.setCustom(request.getCustom());
        question.setParent(request.getParent());
        question.setProperties(propertiesToSend(request));
        question.setOptions(options);

        const answer = TransformResponse.deserializeBinary(await call(callback, question.serializeBinary()));
        const properties = Object.entries(answer.getProperties().toJavaScript()).map(([key, value]) => [key, withoutOutput(value)]);
        request.setObject(Struct.fromJavaScript(Object.fromEntries(properties)));
        request.setDependenciesList(answer.getOptions().getDependsOnList());
        request.setIgnorechangesList(answer.getOptions().getIgnoreChangesList());
        request.setAdditionalsecretoutputsList(answer.getOptions().getAdditionalSecretOutputsList());
    }
}

async function call(callback: any, question: Uint8Array): Promise<Uint8Array> {
    const request = new CallbackInvokeRequest();
    request.setToken(callback.getToken());
    request.setRequest(question);
    const client = new CallbacksClient(callback.getTarget(), grpc.credentials.createInsecure());
    try {
        return await new Promise((resolve, reject) =>
            client.invoke(request, (error, response) => (error ? reject(error) : resolve(response.getResponse_asU8()))),
        );
    } finally {
        client.close();
    }
}

/** Returns the properties as the engine sends them. One that is secret, unknown or depends on a resource becomes an output value. */
function propertiesToSend(request: any): Struct {
    const dependenciesOf = (key: string): string[] => request.getPropertydependenciesMap().get(key)?.getUrnsList() ?? [];
    const properties = Object.entries<any>(request.getObject().toJavaScript()).map(([key, value]) => {
        const [secret, dependencies] = [value?.[signature] === secretSignature, dependenciesOf(key)];
        const isPlain = !secret && value !== unknownValue && dependencies.length === 0;
        return [key, isPlain ? value : wireOutput(secret ? value.value : value, { secret, dependencies })];
    });
    return Struct.fromJavaScript(Object.fromEntries(properties));
}

function withoutOutput(value: any): unknown {
    if (value?.[signature] !== outputSignature) return value;
    const plain = "value" in value ? value.value : unknownValue;
    return value.secret ? wireSecret(plain) : plain;
}
