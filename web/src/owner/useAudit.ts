import { useCallback, useEffect, useState } from 'react';
import { messageOf } from '../api';
import { type AuditPage, audit } from '../api/owner';
import { withOlder } from './acts';
import { useAsked } from './useAsked';

const TYPING_MS = 250;

/** The text once nobody has typed for a moment. */
function useTyped(text: string): string {
  const [typed, setTyped] = useState(text);

  useEffect(() => {
    const timer = window.setTimeout(() => setTyped(text), TYPING_MS);
    return () => window.clearTimeout(timer);
  }, [text]);

  return typed;
}

/** What was asked for, and the page from the newest on. */
interface First {
  q: string;
  page: AuditPage;
}

/** The audit log in which `search` stands, from the newest on, page by page. */
export function useAudit(search: string) {
  const q = useTyped(search.trim());
  const question = useCallback(
    async (signal: AbortSignal): Promise<First> => ({ q, page: await audit(q, null, signal) }),
    [q],
  );
  const { value: first, heard, ask } = useAsked(question);
  /** A first page with older ones behind it. */
  const [longer, setLonger] = useState<{ first: First; page: AuditPage } | null>(null);
  const [loading, setLoading] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  // What was loaded behind another first page does not belong behind this one.
  const page = longer !== null && longer.first === first ? longer.page : (first?.page ?? null);

  const more = async () => {
    if (first === null || page === null || page.next === null) return;
    setProblem(null);
    setLoading(true);
    try {
      const older = await audit(first.q, page.next);
      setLonger({ first, page: withOlder(page, older) });
    } catch (error) {
      setProblem(messageOf(error));
    }
    setLoading(false);
  };

  return { page, heard, ask, more, loading, problem, isSearch: first !== null && first.q !== '' };
}
