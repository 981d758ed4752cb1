import { texts } from '../texts';
import { useSignedOut } from './Gate';

/** Where somebody is signed in: the way to the owner's page. */
export function OwnerLink() {
  if (useSignedOut() === null) return null;
  return (
    <a className="button button--quiet" href="/owner">
      {texts.owner.page}
    </a>
  );
}
