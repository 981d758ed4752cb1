import { useCallback, useState } from 'react';
import { messageOf } from '../api';
import {
  type Delivery,
  listDeliveries,
  type Receiver,
  replay,
  type TestResult,
  testReceivers,
} from '../api/owner';
import * as format from '../format';
import { texts } from '../texts';
import { Section } from './Section';
import { useAsked } from './useAsked';

const LOOK_EVERY_MS = 5000;
const FIRST = 100;
/** As many as the server tells at a time. */
const MOST = 1000;

/** Who is told of recordings by webhook, how they stand, and what became of what they were told. */
export function ReceiversSection() {
  const [limit, setLimit] = useState(FIRST);
  const question = useCallback((signal: AbortSignal) => listDeliveries(limit, signal), [limit]);
  const { value, at, heard, ask } = useAsked(question, LOOK_EVERY_MS);
  const [problem, setProblem] = useState<string | null>(null);
  const [done, setDone] = useState<string | null>(null);

  const again = async (delivery: Delivery) => {
    setProblem(null);
    setDone(null);
    try {
      await replay(delivery.id);
      setDone(texts.receivers.replayed);
    } catch (error) {
      setProblem(messageOf(error));
    }
    ask();
  };

  return (
    <Section title={texts.owner.sections.receivers} hint={texts.receivers.hint} heard={heard} onAgain={ask}>
      {at !== null && value === null && <p>{texts.receivers.elsewhere}</p>}
      {value?.receivers.length === 0 && <p>{texts.receivers.none}</p>}
      {value !== null && value.receivers.length > 0 && (
        <>
          <ul className="console__list">
            {value.receivers.map((receiver) => (
              <ReceiverItem key={receiver.id} receiver={receiver} />
            ))}
          </ul>
          <Test onProblem={setProblem} />
        </>
      )}
      {problem !== null && (
        <p className="form-error" role="alert">
          {problem}
        </p>
      )}
      <p className="console__done" role="status">
        {done}
      </p>
      {value !== null && (
        <>
          <h3>{texts.receivers.deliveries}</h3>
          {value.deliveries.length === 0 && <p>{texts.receivers.noDeliveries}</p>}
          <ul className="console__list">
            {value.deliveries.map((delivery) => (
              <DeliveryItem key={delivery.id} delivery={delivery} onAgain={again} />
            ))}
          </ul>
          {value.deliveries.length >= limit && limit < MOST && (
            <button type="button" className="button" onClick={() => setLimit(MOST)}>
              {texts.audit.more}
            </button>
          )}
        </>
      )}
    </Section>
  );
}

function ReceiverItem({ receiver }: { receiver: Receiver }) {
  const { id, place, waiting, waitingSince, dropped, trouble } = receiver;
  const facts = [
    waiting > 0 ? texts.receivers.waiting(waiting) : null,
    waiting > 0 && waitingSince !== null ? texts.receivers.waitingSince(format.date(waitingSince)) : null,
    dropped > 0 ? texts.receivers.dropped(dropped) : null,
  ];
  return (
    <li className="console__item" data-receiver={id}>
      <p className="console__name">
        <bdi>{place}</bdi>
        <code>{id}</code>
      </p>
      {trouble === null ? (
        <p className="recording__note">{texts.receivers.fine}</p>
      ) : (
        <p className="recording__error">{texts.receivers.trouble(trouble)}</p>
      )}
      <p className="recording__facts">
        {facts.filter(Boolean).map((fact) => (
          <span key={fact}>{fact}</span>
        ))}
      </p>
    </li>
  );
}

/** Tells all of them of nothing, and says what came of it. */
function Test({ onProblem }: { onProblem: (problem: string | null) => void }) {
  const [busy, setBusy] = useState(false);
  const [results, setResults] = useState<TestResult[] | null>(null);

  const test = async () => {
    onProblem(null);
    setResults(null);
    setBusy(true);
    try {
      setResults(await testReceivers());
    } catch (error) {
      onProblem(messageOf(error));
    }
    setBusy(false);
  };

  return (
    <div className="console__form">
      <button type="button" className="button" disabled={busy} onClick={() => void test()}>
        {busy ? texts.receivers.testing : texts.receivers.test}
      </button>
      <div role="status">
        {results !== null && (
          <>
            <h3>{texts.receivers.results}</h3>
            <ul className="console__list">
              {results.map(({ receiver, place, status, error, tookMs }) => (
                <li key={receiver} className="console__item" data-tested={receiver}>
                  <p className="console__name">
                    <bdi>{place}</bdi>
                  </p>
                  {error === null ? (
                    <p className="recording__note">{texts.receivers.passed(status, tookMs)}</p>
                  ) : (
                    <p className="recording__error">{texts.receivers.refused(error)}</p>
                  )}
                </li>
              ))}
            </ul>
          </>
        )}
      </div>
    </div>
  );
}

const CHIPS = {
  waiting: 'chip',
  delivered: 'chip chip--complete',
  expired: 'chip chip--failed',
  dropped: 'chip chip--failed',
} as const;

interface DeliveryProps {
  delivery: Delivery;
  onAgain: (delivery: Delivery) => Promise<void>;
}

function DeliveryItem({ delivery, onAgain }: DeliveryProps) {
  const [busy, setBusy] = useState(false);
  const { event, place, egressId, state, madeAt, settledAt, nextTryAt, tries, status, error } = delivery;
  const facts = [
    texts.receivers.of(egressId),
    format.date(madeAt),
    texts.receivers.tries(tries),
    status === null ? null : texts.receivers.status(status),
    nextTryAt === null ? null : texts.receivers.next(format.timeOfDay(nextTryAt)),
    settledAt === null ? null : texts.receivers.settled(format.timeOfDay(settledAt)),
  ];

  const again = async () => {
    setBusy(true);
    await onAgain(delivery);
    setBusy(false);
  };

  return (
    <li className="console__item console__item--row" data-delivery={delivery.id}>
      <div>
        <p className="console__name">
          <code>{event}</code> <bdi>{place}</bdi>
          <span className={state === null ? 'chip' : CHIPS[state]}>
            {state === null ? texts.receivers.unknownState : texts.receivers.states[state]}
          </span>
        </p>
        <p className="recording__facts">
          {facts.filter(Boolean).map((fact) => (
            <span key={fact}>{fact}</span>
          ))}
        </p>
        {error !== null && <p className="recording__error">{error}</p>}
      </div>
      {state !== 'waiting' && (
        <button
          type="button"
          className="button"
          aria-label={texts.receivers.replayNamed(event, place)}
          disabled={busy}
          onClick={() => void again()}
        >
          {texts.receivers.replay}
        </button>
      )}
    </li>
  );
}
