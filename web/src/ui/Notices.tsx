import { useCallback, useEffect, useRef, useState } from 'react';

const SHOWN_MS = 5000;

export interface Notice {
  id: number;
  kind: 'info' | 'error';
  text: string;
}

/** Short messages that go away by themselves. */
export function useNotices() {
  const [notices, setNotices] = useState<Notice[]>([]);
  const timers = useRef(new Set<number>());
  const last = useRef(0);

  useEffect(() => {
    const running = timers.current;
    return () => running.forEach((timer) => void window.clearTimeout(timer));
  }, []);

  const notify = useCallback((kind: Notice['kind'], text: string) => {
    last.current += 1;
    const id = last.current;
    setNotices((old) => [...old.filter((notice) => notice.text !== text), { id, kind, text }].slice(-3));
    const timer = window.setTimeout(() => {
      timers.current.delete(timer);
      setNotices((old) => old.filter((notice) => notice.id !== id));
    }, SHOWN_MS);
    timers.current.add(timer);
  }, []);

  return { notices, notify };
}

export function Notices({ notices }: { notices: Notice[] }) {
  return (
    <div className="notices" role="status" aria-live="polite">
      {notices.map((notice) => (
        <p key={notice.id} className={`notice notice--${notice.kind}`}>
          {notice.text}
        </p>
      ))}
    </div>
  );
}
