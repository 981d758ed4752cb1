import { address } from '../api';
import { texts } from '../texts';
import { useSignedOut } from './Gate';

/** Where somebody is signed in: the way to the owner's page. */
export function OwnerLink() {
  if (useSignedOut() === null) return null;
  return (
    <a className="button button--quiet" href={address('/owner')}>
      {texts.owner.page}
    </a>
  );
}
