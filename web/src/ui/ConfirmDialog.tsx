import { type ReactNode, useState } from 'react';
import { texts } from '../texts';
import { Dialog } from './Dialog';

interface Props {
  title: string;
  /** The button that does it. */
  confirm: string;
  /** The button that leaves everything as it is. */
  cancel?: string;
  /** Nothing is taken from anybody by it. */
  isHarmless?: boolean;
  /** Does it; whoever shows the dialog takes it away afterwards. */
  onConfirm: () => Promise<void>;
  onClose: () => void;
  /** What is taken away, and from whom. */
  children: ReactNode;
}

/** Asks before something is taken away. */
export function ConfirmDialog({
  title,
  confirm,
  cancel = texts.confirm.cancel,
  isHarmless = false,
  onConfirm,
  onClose,
  children,
}: Props) {
  const [busy, setBusy] = useState(false);

  const act = async () => {
    setBusy(true);
    await onConfirm();
    setBusy(false);
  };

  return (
    <Dialog title={title} className="dialog--small" onClose={onClose}>
      {children}
      <div className="row row--end">
        <button type="button" className="button" onClick={onClose}>
          {cancel}
        </button>
        <button
          type="button"
          className={`button ${isHarmless ? 'button--primary' : 'button--danger'}`}
          disabled={busy}
          onClick={() => void act()}
        >
          {confirm}
        </button>
      </div>
    </Dialog>
  );
}
