import { useEffect, useId, useRef, useState } from 'react';
import { texts } from '../texts';
import { Icon } from '../ui/Icon';
import { closeDevices, type DeviceChoice, knownDevices, openDevices } from './devices';

interface Props {
  choice: DeviceChoice;
  onChoice: (choice: DeviceChoice) => void;
}

/** The person sees themselves and chooses devices. Whatever fails is told, and joining stays possible. */
export function Preview({ choice, onChoice }: Props) {
  const video = useRef<HTMLVideoElement>(null);
  const [opening, setOpening] = useState(true);
  const [picture, setPicture] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const [cameras, setCameras] = useState<MediaDeviceInfo[]>([]);
  const [microphones, setMicrophones] = useState<MediaDeviceInfo[]>([]);
  const { camera, microphone, cameraId, microphoneId } = choice;

  useEffect(() => {
    let gone = false;
    let held: MediaStream | null = null;
    setOpening(true);
    void openDevices({ camera, microphone, cameraId, microphoneId }).then(async ({ stream, problem }) => {
      if (gone) return closeDevices(stream);
      held = stream;
      setOpening(false);
      setProblem(problem);
      setPicture((stream?.getVideoTracks().length ?? 0) > 0);
      if (video.current) video.current.srcObject = stream;
      const [seen, heard] = [await knownDevices('videoinput'), await knownDevices('audioinput')];
      if (gone) return;
      setCameras(seen);
      setMicrophones(heard);
    });
    return () => {
      gone = true;
      closeDevices(held);
    };
  }, [camera, microphone, cameraId, microphoneId]);

  return (
    <section className="preview" aria-label={texts.preview.label}>
      <div className="preview__picture">
        <video ref={video} autoPlay playsInline muted hidden={!picture} />
        {!picture && <p>{opening && camera ? texts.preview.starting : texts.preview.cameraOff}</p>}
        <div className="preview__toggles">
          <button
            type="button"
            className={`button button--round ${microphone ? '' : 'button--off'}`}
            aria-pressed={microphone}
            aria-label={microphone ? texts.preview.turnMicrophoneOff : texts.preview.turnMicrophoneOn}
            onClick={() => onChoice({ ...choice, microphone: !microphone })}
          >
            <Icon name={microphone ? 'mic' : 'micOff'} />
          </button>
          <button
            type="button"
            className={`button button--round ${camera ? '' : 'button--off'}`}
            aria-pressed={camera}
            aria-label={camera ? texts.preview.turnCameraOff : texts.preview.turnCameraOn}
            onClick={() => onChoice({ ...choice, camera: !camera })}
          >
            <Icon name={camera ? 'camera' : 'cameraOff'} />
          </button>
        </div>
      </div>
      <p className="preview__problem" role="status">
        {problem && (
          <>
            <Icon name="warning" size={18} /> {problem}
          </>
        )}
      </p>
      <div className="preview__devices">
        <DeviceSelect
          label={texts.preview.camera}
          devices={cameras}
          value={cameraId}
          onValue={(cameraId) => onChoice({ ...choice, cameraId })}
        />
        <DeviceSelect
          label={texts.preview.microphone}
          devices={microphones}
          value={microphoneId}
          onValue={(microphoneId) => onChoice({ ...choice, microphoneId })}
        />
      </div>
    </section>
  );
}

interface SelectProps {
  label: string;
  devices: MediaDeviceInfo[];
  value: string | null;
  onValue: (deviceId: string) => void;
}

function DeviceSelect({ label, devices, value, onValue }: SelectProps) {
  const id = useId();
  if (devices.length === 0) return null;
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value ?? devices[0]?.deviceId} onChange={(event) => onValue(event.target.value)}>
        {devices.map((device, index) => (
          <option key={device.deviceId} value={device.deviceId}>
            {device.label || `${label} ${index + 1}`}
          </option>
        ))}
      </select>
    </div>
  );
}
