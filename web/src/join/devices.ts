/** The person's camera and microphone before a call, without the media client. */
import { texts } from '../texts';

export interface DeviceChoice {
  camera: boolean;
  microphone: boolean;
  cameraId: string | null;
  microphoneId: string | null;
}

export interface Opened {
  stream: MediaStream | null;
  /** Why something is missing, as told to the person. */
  problem: string | null;
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

async function open(constraints: MediaStreamConstraints): Promise<MediaStream | unknown> {
  try {
    return await navigator.mediaDevices.getUserMedia(constraints);
  } catch (error) {
    return error;
  }
}

const wanted = (deviceId: string | null): MediaTrackConstraints | true =>
  deviceId === null ? true : { deviceId: { ideal: deviceId } };

/** Opens what is wanted and there; never throws, as one may join with neither. */
export async function openDevices(choice: DeviceChoice): Promise<Opened> {
  if (!choice.camera && !choice.microphone) return { stream: null, problem: null };
  if (!navigator.mediaDevices?.getUserMedia) return { stream: null, problem: texts.preview.insecure };
  const video = choice.camera ? wanted(choice.cameraId) : false;
  const audio = choice.microphone ? wanted(choice.microphoneId) : false;
  const both = await open({ video, audio });
  if (both instanceof MediaStream) return { stream: both, problem: null };
  const reason = nameOf(both);
  if (reason === 'NotAllowedError' || reason === 'SecurityError') {
    return { stream: null, problem: texts.preview.denied };
  }
  if (video !== false && audio !== false) {
    const sound = await open({ audio });
    if (sound instanceof MediaStream) return { stream: sound, problem: texts.preview.noCamera };
    const picture = await open({ video });
    if (picture instanceof MediaStream) return { stream: picture, problem: texts.preview.noMicrophone };
  }
  return {
    stream: null,
    problem: reason === 'NotReadableError' ? texts.preview.busy : texts.preview.missing,
  };
}

export const closeDevices = (stream: MediaStream | null): void => {
  for (const track of stream?.getTracks() ?? []) track.stop();
};

export async function knownDevices(kind: 'audioinput' | 'videoinput'): Promise<MediaDeviceInfo[]> {
  const devices = (await navigator.mediaDevices?.enumerateDevices?.().catch(() => [])) ?? [];
  return devices.filter((device) => device.kind === kind && device.deviceId !== '');
}
